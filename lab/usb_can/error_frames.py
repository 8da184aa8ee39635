"""Error frames, by which adapters report how their controller stands to the bus."""

from typing import Final

from lab.usb_can.wire import Errors, ErrorState, Frame

_ERROR_FRAME: Final = 0x2000_0000
_CONTROLLER, _BUS_OFF, _COUNTERS = 0x04, 0x40, 0x200
_TX_WARNING, _RX_WARNING, _TX_PASSIVE, _RX_PASSIVE, _ACTIVE = 0x08, 0x04, 0x20, 0x10, 0x40


def error_frame(errors: Errors) -> Frame:
    """Make the error frame that reports a state (``linux/can/error.h``)."""
    if errors.state is ErrorState.BUS_OFF:
        what, detail = _BUS_OFF, 0
    else:
        more_tx = errors.tx >= errors.rx
        what, detail = (
            _CONTROLLER,
            {
                ErrorState.ACTIVE: _ACTIVE,
                ErrorState.WARNING: _TX_WARNING if more_tx else _RX_WARNING,
                ErrorState.PASSIVE: _TX_PASSIVE if more_tx else _RX_PASSIVE,
            }[errors.state],
        )
    data = bytes([0, detail, 0, 0, 0, 0, min(errors.tx, 255), min(errors.rx, 255)])
    return Frame(_ERROR_FRAME | what | _COUNTERS, 8, data)
