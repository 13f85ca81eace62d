"""What our method has to beat, under the same data and the same readout."""
