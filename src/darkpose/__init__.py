"""darkpose: sub-pixel face landmarks with HRNetV2 and DARK."""
