"""The real AWS CLI, told to check its arguments and to send nothing."""

import warnings
from collections.abc import Sequence

import pytest


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return why the CLI refuses ``aws autoscaling ARGUMENTS``; empty when it takes them."""
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, on import
        from awscli.clidriver import create_clidriver

        command = ["--region", "eu-central-1", "autoscaling", *arguments]
        # a driver remembers the operation it served
        code = create_clidriver().main([*command, "--generate-cli-skeleton", "output"])
    said = capsys.readouterr()
    return "" if code == 0 else said.err or str(code)
