#!/usr/bin/env python3
"""An independent look at card 0: prints `MILLISECONDS_SINCE_1970 USED_MIB` every 5 ms, through NVML itself.

A sampler beside the broker, so that the time from the card's memory coming back to the next grant is not measured with
the broker's own readings. nvmlDeviceGetMemoryInfo takes about 50 microseconds.
"""
import ctypes
import sys
import time


class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


nvml = ctypes.CDLL("libnvidia-ml.so.1")
assert nvml.nvmlInit_v2() == 0
device = ctypes.c_void_p()
assert nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) == 0
memory = Memory()
while True:
    assert nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0
    sys.stdout.write(f"{time.time() * 1000:.1f} {memory.used >> 20}\n")
    sys.stdout.flush()
    time.sleep(0.005)
