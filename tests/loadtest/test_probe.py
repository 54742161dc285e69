"""The target's processes are found, and their counters say what they used."""

import os
import socket
import subprocess
import sys

import psutil
import pytest

from capplan.errors import UsageError
from capplan.loadtest.job import Watching
from capplan.loadtest.probes import limits
from capplan.loadtest.probes.family import Family, listeners, named
from capplan.loadtest.probes.probe import Probe
from tests.loadtest.harness import free_port
from tests.loadtest.shops import shop

# uses CPU in a child that ends, and then says so
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import time\\nwhile time.process_time() < 0.4: pass\\ninput()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.readline()
child.communicate(b"\\n")
print("ended", flush=True)
sys.stdin.readline()
"""


# which processes


def test_what_listens_at_the_port_of_a_local_target_is_found():
    with shop("wait", 0.01) as (url, pid):
        assert [p.pid for p in listeners(url)] == [pid]
        probe = Probe.of(url, Watching())
        assert [p.pid for p in probe.seen.processes] == [pid]
        assert probe.seen.by == ("processes",)
        assert probe.notes == ()


def test_a_process_that_listens_at_another_address_of_the_port_is_not_the_target():
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        assert [p.pid for p in listeners(f"http://127.0.0.2:{port}")] == [os.getpid()]
        assert listeners(f"http://127.0.0.1:{port}") == []


def test_a_process_that_is_named_is_watched_in_place_of_what_listens():
    with shop("wait", 0.01) as (url, _), shop("wait", 0.01) as (_, behind):
        probe = Probe.of(url, Watching(pids=(behind,)))
        assert [p.pid for p in probe.seen.processes] == [behind]


def test_a_process_id_that_none_has_is_refused():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    with pytest.raises(UsageError, match=f"no process with the id {ended.pid} runs"):
        named([os.getpid(), ended.pid])


def test_a_remote_target_is_noted_as_not_seen_with_what_to_do():
    probe = Probe.of("http://192.0.2.1:80", Watching())
    (note,) = probe.notes
    assert note.code == "target_not_seen"
    assert "another machine" in note.message
    assert "service.metrics" in note.advice
    probe.begin(1.0)
    probe.sample(0.5)
    assert probe.use(0.0, 1.0) is None


def test_a_local_target_that_nobody_may_look_at_is_noted_as_not_seen():
    (note,) = Probe.of(f"http://127.0.0.1:{free_port()}", Watching()).notes
    assert note.code == "target_not_seen"
    assert "--target-pid" in note.advice


# what they use


def test_cpu_memory_and_files_of_a_real_process_are_read():
    clock = iter([0.0, 1.0, 2.0])
    with socket.create_server(("127.0.0.1", 0)) as here:
        probe = Probe.of(f"http://127.0.0.1:{here.getsockname()[1]}", Watching())
        probe.clock = lambda: next(clock)
        probe.begin(10.0)  # looks whether the process still is there
        before = psutil.Process().cpu_times()
        probe.sample(0.0)
        while psutil.Process().cpu_times().user - before.user < 0.3:
            pass
        probe.sample(1.0)
        after = psutil.Process().cpu_times()
        use = probe.use(0.0, 1.0)
    assert use is not None
    # the clock of this test says that a second went by; a tick is 0.01 s
    spent = after.user + after.system - before.user - before.system
    assert use.cores_used == pytest.approx(spent, abs=0.05)
    assert use.cpu == pytest.approx((use.cores_used or 0.0) / limits.cores([psutil.Process()]))
    assert use.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert use.open_files == pytest.approx(psutil.Process().num_fds(), abs=3)
    assert use.open_files_share is not None
    assert use.received_bytes_per_s is not None
    assert use.busiest_thread_cores == pytest.approx(spent, abs=0.05)


def test_the_cpu_time_of_a_child_that_ended_is_kept():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        while sum(child.cpu_times()[:2]) < 0.3:
            pass
        family = Family([psutil.Process(parent.pid)])
        before = family.read(0.0)
        assert before is not None
        assert set(before.process_cpu_s) == {parent.pid, child.pid}
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "ended\n"
        after = family.read(0.1)
        assert after is not None
        assert set(after.process_cpu_s) == {parent.pid}
        assert before.cpu_s >= 0.3
        assert after.cpu_s == pytest.approx(before.cpu_s, abs=0.2)
        parent.stdin.write("\n")


def test_a_server_that_is_restarted_at_the_same_port_is_found_again():
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        probe = Probe.of(url, Watching())
        assert [p.pid for p in probe.seen.processes] == [os.getpid()]
    with shop("wait", 0.01) as (other, pid):
        gone = Probe.of(other, Watching())
    assert gone.memory_bytes() is None
    gone._target = url
    with socket.create_server(("127.0.0.1", port)):
        gone.begin(1.0)
        assert [p.pid for p in gone.seen.processes] == [os.getpid()]
        assert pid not in [p.pid for p in gone.seen.processes]


def test_the_load_generators_own_children_are_not_the_target():
    with (
        socket.create_server(("127.0.0.1", 0)),
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child,
    ):
        reading = Family([psutil.Process()]).read(0.0)
        assert reading is not None
        assert set(reading.process_cpu_s) == {os.getpid()}
        named_itself = Family([psutil.Process(child.pid)]).read(0.0)
        assert named_itself is not None
        assert set(named_itself.process_cpu_s) == {child.pid}
        child.communicate(b"\n")


# what they may have


def cgroup(root, group, **files):
    folder = root / group
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def proc(root, *lines):
    (root / "7").mkdir(parents=True)
    (root / "7" / "cgroup").write_text("\n".join(lines) + "\n")
    return root


def test_the_tightest_quota_above_a_process_counts(tmp_path):
    cgroup(tmp_path / "fs", "kube", cpu__max="150000 100000", memory__max="max")
    cgroup(tmp_path / "fs", "kube/pod", cpu__max="max 100000", memory__max="536870912")
    lines = proc(tmp_path / "proc", "0::/kube/pod")
    found = limits.cpu_quota(7, tmp_path / "fs", lines)
    assert found == (tmp_path / "fs" / "kube", 1.5)
    found = limits.memory_limit(7, tmp_path / "fs", lines)
    assert found == (tmp_path / "fs" / "kube/pod", 536870912.0)


def test_limits_of_control_groups_of_version_1_are_read(tmp_path):
    cgroup(tmp_path / "fs", "cpu,cpuacct/web", cpu__cfs_quota_us=50000, cpu__cfs_period_us=100000)
    cgroup(tmp_path / "fs", "cpu,cpuacct", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100000)
    cgroup(tmp_path / "fs", "memory/web", memory__limit_in_bytes=1000)
    cgroup(tmp_path / "fs", "memory", memory__limit_in_bytes=9223372036854771712)
    lines = proc(tmp_path / "proc", "5:memory:/web", "4:cpu,cpuacct:/web", "0::/")
    assert limits.cpu_quota(7, tmp_path / "fs", lines)[1] == 0.5
    assert limits.memory_limit(7, tmp_path / "fs", lines)[1] == 1000.0


def test_in_a_container_the_root_of_what_is_mounted_stands_for_its_group(tmp_path):
    cgroup(tmp_path / "fs", "", cpu__max="200000 100000")
    lines = proc(tmp_path / "proc", "0::/system.slice/docker-abc.scope")
    assert limits.cpu_quota(7, tmp_path / "fs", lines)[1] == 2.0


def test_no_limit_is_no_limit(tmp_path):
    cgroup(tmp_path / "fs", "", cpu__max="max 100000")
    lines = proc(tmp_path / "proc", "0::/")
    assert limits.cpu_quota(7, tmp_path / "fs", lines) == (None, None)
    assert limits.memory_limit(8, tmp_path / "fs", lines) == (None, None)


def test_cores_are_those_of_the_affinity():
    one = min(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        psutil.Process(child.pid).cpu_affinity([one])
        assert limits.cores([psutil.Process(child.pid)]) == 1.0
        # two processes on one core have one core
        assert limits.cores([psutil.Process(child.pid)] * 2) == 1.0
        child.communicate(b"\n")
