"""Documented bugs that are no defect of the zoo, and why: what a function of logits and parameters cannot show, or what is no bug."""

UNEXPRESSED: dict[str, str] = {
    "HF-01": "one token more or fewer where a prefix mass equals p exactly: within the rounding of float sums both are right",
    "HF-04": "the value of removed logits is no parameter of the contract: removed is -inf, and any other value is found as probability",
    "JX-04": "several tokens of one row without replacement are no answer of the contract, which gives one token a row",
    "JX-05": "negative probabilities are no input of the contract, which hands over logits, and every real number is one",
    "LC-07": "asking for log-probabilities beside the token is no input of the contract",
    "LC-08": "no bug: the multiplicative penalty is not shift invariant by definition, and a correct sampler with it must not be accused",
    "PT-02": "several tokens of one row without replacement are no answer of the contract, which gives one token a row",
    "SG-01B": "noise of 708 on an allowed token of tiny probability, once in 2^32 draws: no set of tokens and no frequency shows it",
}
