"""Signals: measurements of several channels over time, such as accelerations or an ECG."""

from opsin.inputs.signal.signal import Signal

__all__ = ["Signal"]
