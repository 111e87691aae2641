"""The fuzzer turned on the validators: what is thrown, an independent judge, and the campaign that holds one against the other."""
