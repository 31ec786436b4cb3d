"""What the quality measurements share: voices of MEDIA_CORE_SHARED/data, mu-law, spandsp's concealment, the meters."""
import ctypes, ctypes.util, importlib.util, os
import numpy as np, soundfile as sf
from scipy.signal import resample_poly

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("MEDIA_CORE_SHARED", os.path.join(os.path.dirname(ROOT), "shared"))


class PlcState(ctypes.Structure):
    """plc_state_t of spandsp/plc.h."""
    _fields_ = [("missing_samples", ctypes.c_int), ("pitch_offset", ctypes.c_int), ("pitch", ctypes.c_int),
                ("pitchbuf", ctypes.c_float * 120), ("history", ctypes.c_int16 * 280), ("buf_ptr", ctypes.c_int)]


def spandsp(x, mask, frame):
    """Conceals the frames of `frame` samples where `mask` is 1 (int16, 8 kHz)."""
    lib = ctypes.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    state = (ctypes.c_char * (ctypes.sizeof(PlcState) + 256))()
    p = ctypes.POINTER(ctypes.c_int16)
    lib.plc_init(state)
    y = x.copy()
    for i in range(len(x) // frame):
        part = np.ascontiguousarray(y[i * frame:(i + 1) * frame])
        (lib.plc_fillin if mask[i] else lib.plc_rx)(state, part.ctypes.data_as(p), frame)
        y[i * frame:(i + 1) * frame] = part
    return y


def g722(path):
    """A file of G.722 at 64 kbit/s as int16 at 16 kHz, by spandsp."""
    lib = ctypes.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    lib.g722_decode_init.restype = ctypes.c_void_p
    code = open(path, "rb").read()
    out = np.zeros(2 * len(code), np.int16)
    state = ctypes.c_void_p(lib.g722_decode_init(None, 64000, 0))
    n = lib.g722_decode(state, out.ctypes.data_as(ctypes.c_void_p), code, len(code))
    lib.g722_decode_free(state)
    return out[:n]


def zero_fill(x, mask, frame):
    """Silence in the frames where `mask` is 1."""
    return x * (1 - np.repeat(np.append(mask, 0), frame)[:len(x)]).astype(np.int16)


def mulaw(x):
    """G.711 mu-law and back."""
    v = np.clip(np.abs(x.astype(int)), 0, 32635) + 132
    e = np.floor(np.log2(v)).astype(int) - 7
    m = (v >> (e + 3)) & 15
    y = (((m << 3) + 132) << e) - 132
    return np.where(x < 0, -y, y).astype(np.int16)


def read(name, rate, part=None):
    """A file of MEDIA_CORE_SHARED/data as int16 at `rate`, or its `part` (from, to) in seconds."""
    path = os.path.join(SHARED, "data", name)
    if name.endswith(".pcm"):
        x, r = np.fromfile(path, "<i2") / 32768.0, 48000
    else:
        x, r = sf.read(path)
    if part:
        x = x[int(part[0] * r):int(part[1] * r)]
    if r != rate:
        x = resample_poly(x, rate // np.gcd(rate, r), r // np.gcd(rate, r))
    return np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16)


def meters():
    """MEDIA_CORE_SHARED/tools/quality.py as a module."""
    spec = importlib.util.spec_from_file_location("quality", os.path.join(SHARED, "tools", "quality.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
