"""The real product at work on what was written, on loopback: does it route as was measured?"""
