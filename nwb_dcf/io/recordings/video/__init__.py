"""Video as a recording: files and stored frames, their clock, decoding and cropping."""
