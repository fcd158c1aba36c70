"""Typed report records and their JSON; and synthesis reports as users of hls4ml ask for them."""

from kbuild.report.vivado import parse_vivado_report, print_vivado_report, read_vivado_report

__all__ = ["parse_vivado_report", "print_vivado_report", "read_vivado_report"]
