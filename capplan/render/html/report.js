"use strict";
/* The what-if panel: the sums that capplan/estimate/whatif.py describes, at other inputs.
   Settings live in the address (#servers=24&email=1.5), so that a link keeps them. */
(function () {
  const source = document.getElementById("what-if-data");
  const form = document.getElementById("what-if");
  toggles();
  protections();
  if (!source || !form) return;
  const data = JSON.parse(source.textContent);
  const rates = unpack(data.rates), gusts = unpack(data.gusts), weights = unpack(data.weights);
  const noise = data.noise && unpack(data.noise);
  const begun = data.begun && unpack(data.begun), multiple = data.multiple && unpack(data.multiple);
  const fleets = data.fleets && unpack(data.fleets);
  const perVisit = data.perVisit && unpack(data.perVisit);
  const [draws, times, channels] = data.rates.shape;
  const inputs = Array.from(form.querySelectorAll("input[type=range]"));
  const initial = new Map(inputs.map((input) => [input.name, input.defaultValue]));
  const planned = settings(initial);
  const asPlanned = peaks(planned.strength, planned.requests, planned.usual);
  const exact = exactly(data.peaks, asPlanned);
  const exactCompared = fleets && exactly(data.comparedPeaks, compared(asPlanned, planned.requests));

  function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed.codes), (letter) => letter.charCodeAt(0));
    const values = new Float64Array(bytes.length / 2);
    for (let i = 0; i < values.length; i++) {
      const code = bytes[2 * i] + 256 * bytes[2 * i + 1];
      values[i] = code ? Math.exp(packed.low + (code - 1) * packed.step) : 0;
    }
    return values;
  }

  function quantile(sorted, share) {
    const at = Math.min(Math.max(share * sorted.length - 0.5, 0), sorted.length - 1);
    const below = Math.floor(at), above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }

  /* Quantiles at (i + 0.5)/count of draws that count by their weights */
  function quantiles(found, count) {
    const order = Uint32Array.from(found.keys()).sort((a, b) => found[a] - found[b]);
    const share = new Float64Array(draws), even = new Float64Array(count);
    let total = 0;
    order.forEach((k, i) => { share[i] = total + weights[k] / 2; total += weights[k]; });
    for (let i = 0, above = 0; i < count; i++) {
      const wanted = ((i + 0.5) / count) * total;
      while (above < draws - 1 && share[above] < wanted) above++;
      const below = Math.max(above - 1, 0), low = found[order[below]], high = found[order[above]];
      const step = share[above] - share[below] || 1;
      even[i] = low + (high - low) * Math.min(Math.max((wanted - share[below]) / step, 0), 1);
    }
    return even;
  }

  /* The page has a part of the draws. What its quantiles are off at the plan's own values, rank by
     rank, they are taken to be off at others as well: at the plan's values all is as in Python. */
  function exactly(all, found) {
    const wanted = unpack(all), own = quantiles(found, wanted.length);
    const factor = wanted.map((value, i) => own[i] > 0 ? value / own[i] : 1);
    return (other) => quantiles(other, factor.length).map((value, i) => value * factor[i]).sort();
  }

  function peaks(strength, requests, usual) {
    const found = new Float64Array(draws);
    for (let k = 0; k < draws; k++) {
      let highest = 0;
      for (let j = 0; j < times; j++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += strength[c] * rates[(k * times + j) * channels + c];
        if (sum > highest) highest = sum;
      }
      let peak = highest * gusts[k] * requests;
      if (multiple && multiple[k] > 0) {
        let came = 0;
        for (let c = 0; c < channels; c++) came += strength[c] * begun[k * channels + c];
        peak *= (usual * multiple[k]) / Math.max(came, 1e-12);
      }
      found[k] = peak;
    }
    return corrected(found);
  }

  /* Peaks as they are compared with the fleet: in visits/s where the load test made visits */
  function compared(found, requests) {
    if (!perVisit) return found;
    return found.map((peak, k) => (peak / (perVisit[k] * requests)) * data.measuredPerVisit);
  }

  function corrected(found) {
    if (!data.history) return found;
    const even = quantiles(found, 1000);
    const spread = Math.log(quantile(even, 0.95) / quantile(even, 0.05)) / 3.2897072539029444;
    const median = quantile(even, 0.5), { shift, sd } = history(spread);
    return found.map((peak, k) => Math.exp(shift) * peak * (sd < spread
      ? Math.pow(peak / median, sd / spread - 1)
      : Math.pow(noise[k], Math.sqrt(sd * sd - spread * spread))));
  }

  function history(spread) {
    const { sales, prior, squares, shift, least_sd } = data.history, total = sales + prior;
    const before = Math.max(spread, least_sd) ** 2 / (1 + 1 / prior);
    return { shift, sd: Math.sqrt(((prior * before + squares) / total) * (1 + 1 / total)) };
  }

  /* P(peak > fleet): the mean over the fleets, even between two of their quantiles as the peaks are */
  function overload(sorted, servers) {
    const [counts, levels] = data.fleets.shape, steps = 8, u = data.levels, last = sorted.length;
    if (servers < 1) return 1;
    const row = (Math.min(servers, counts) - 1) * levels;
    let below = 0, at = 0;
    for (let i = 0; i < (levels - 1) * steps; i++) {
      const level = Math.floor(i / steps), low = fleets[row + level], high = fleets[row + level + 1];
      const fleet = low + (high - low) * ((i % steps + 0.5) / steps);
      while (at < last && sorted[at] <= fleet) at++;
      let share = at === last ? 1 : 0;
      if (at > 0 && at < last) {
        share = (at - 0.5 + (fleet - sorted[at - 1]) / (sorted[at] - sorted[at - 1])) / last;
      }
      below += share * (u[level + 1] - u[level]) / steps;
    }
    return Math.max(1 - below / (u[levels - 1] - u[0]), data.resolution);
  }

  function afterZone(servers) { return servers - Math.ceil(servers / data.zones); }

  function enough(sorted, servers, risk) {
    return overload(sorted, servers) <= Math.max(risk, data.resolution) &&
      (data.zones === 1 ||
        overload(sorted, afterZone(servers)) <= Math.max(data.zoneRisk, data.resolution));
  }

  function smallest(sorted, risk) {
    let low = 0, high = data.fleets.shape[0];
    if (!enough(sorted, high, risk)) return null;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (enough(sorted, middle, risk)) high = middle; else low = middle;
    }
    return high;
  }

  function number(value) {
    return value >= 100 ? Math.round(Number(value.toPrecision(3))).toLocaleString("en")
      : String(Number(value.toPrecision(3)));
  }
  function percent(value) {
    return value < 1e-4 ? "<0.01%" : Number((value * 100).toPrecision(2)) + "%";
  }

  function settings(from) {
    const value = (name) => Number(from.get(name) ?? 0);
    return {
      strength: data.channels.map((_, c) => Math.pow(10, value("channel" + c))),
      requests: Math.pow(10, value("requests")), usual: Math.pow(10, value("usual")),
      servers: value("servers"), price: value("price"), risk: Math.pow(10, value("risk")),
    };
  }

  function say(name, text, value) {
    const place = document.getElementById("out-" + name);
    if (place) { place.textContent = text; place.value = text; place.dataset.value = value; }
  }

  function show() {
    const now = settings(new Map(inputs.map((input) => [input.name, input.value])));
    const found = peaks(now.strength, now.requests, now.usual);
    const shown = exact(found);
    for (const [name, share] of [["p5", 0.05], ["p50", 0.5], ["p95", 0.95]]) {
      const value = quantile(shown, share);
      say(name, number(value) + " rps", value);
    }
    for (const input of inputs) label(input);
    if (!fleets) return;
    const sorted = exactCompared(compared(found, now.requests));
    const risk = overload(sorted, now.servers), need = smallest(sorted, now.risk);
    say("overload", percent(risk), risk);
    say("needed", need === null ? "more than " + data.fleets.shape[0] : String(need), need ?? "");
    if (data.hours !== null) {
      const cost = now.servers * now.price * data.hours;
      say("cost", "$" + cost.toFixed(2), cost);
    }
    const met = enough(sorted, now.servers, now.risk);
    say("verdict", met ? "within the policy" : "not within the policy", met);
    form.dataset.met = met;
  }

  function label(input) {
    const value = Number(input.value), place = document.getElementById("value-" + input.name);
    const texts = {
      factor: () => "×" + number(Math.pow(10, value)), count: () => String(value),
      money: () => "$" + value.toFixed(2), risk: () => percent(Math.pow(10, value)),
    };
    place.textContent = texts[input.dataset.kind]();
    input.setAttribute("aria-valuetext", place.textContent);
  }

  function read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const input of inputs) input.value = asked.get(input.name) ?? initial.get(input.name);
    show();
  }

  function keep() {
    const moved = inputs.filter((input) => input.value !== initial.get(input.name));
    const text = moved.map((input) => input.name + "=" + input.value).join("&");
    history_replace(text);
    show();
  }
  function history_replace(text) { window.history.replaceState(null, "", "#" + text); }

  form.addEventListener("input", keep);
  form.addEventListener("reset", (event) => { event.preventDefault(); history_replace(""); read(); });
  window.addEventListener("hashchange", read);
  read();

  function toggles() {
    const boxes = document.querySelectorAll("input[data-act]");
    const follow = () => {
      for (const box of boxes) document.getElementById(box.dataset.act).hidden = !box.checked;
    };
    for (const box of boxes) box.addEventListener("change", follow);
    follow();
  }

  /* Which protections stand in front of the same visits: every set that was simulated can be seen. */
  function protections() {
    const place = document.getElementById("worth-data");
    if (!place) return;
    const { names, x, bottom, sets } = JSON.parse(place.textContent), last = x.length - 1;
    const boxes = Array.from(document.querySelectorAll("input[data-protection]"));
    const figure = document.getElementById("chosen"), caption = figure.querySelector("figcaption");
    const part = (kind) => figure.querySelector("path." + kind.replace(" ", "."));
    const path = (heights) => "M" + heights.map((y, i) => x[i] + "," + y).join("L");
    const key = (flipped) => boxes
      .filter((box) => box.checked !== (box === flipped))
      .map((box) => names.indexOf(box.dataset.protection)).sort((a, b) => a - b).join(",");

    function show() {
      const found = sets[key(null)];
      figure.classList.toggle("unknown", !found);
      for (const box of boxes) box.parentElement.classList.toggle("unknown", !(key(box) in sets));
      if (!found) {
        caption.textContent = "This set was not simulated: capplan simulate --combinations plays " +
          "every set of the plan's protections; the bright ones lead to one that was.";
        return;
      }
      part("band good").setAttribute("d",
        path(found.good) + "L" + x[last] + "," + bottom + "L" + x[0] + "," + bottom + "Z");
      part("line offered").setAttribute("d", path(found.offered));
      part("line good").setAttribute("d", path(found.good));
      caption.textContent = found.line;
    }

    for (const box of boxes) box.addEventListener("change", show);
    for (const button of document.querySelectorAll("button[data-choose]")) {
      button.addEventListener("click", () => {
        const all = button.dataset.choose === "plan";
        for (const box of boxes) box.checked = all && box.defaultChecked;
        show();
      });
    }
    show();
  }
})();
