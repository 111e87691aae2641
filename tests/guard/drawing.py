"""An upstream's answers that are drawn: laws over a small vocabulary, tokens drawn from them as declared or not, told as servers tell them."""

import json

import numpy as np

WORDS = ("<|end|>", "half\ufffd", *(f"w{i}" for i in range(38)))
END = 0
NEUTRAL = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0}


class Source:
    """Draws answers. The end of a text is never told when it is drawn, and neither is half a character."""

    def __init__(self, seed, *, heat=1.0, shown=6):
        self.rng, self.heat, self.shown = np.random.default_rng(seed), heat, shown

    def positions(self, most, temperature):
        """Yield log-probabilities of the model and the token drawn; what is drawn and not told is left out."""
        for _ in range(most):
            logits = 2.0 * self.rng.standard_normal(len(WORDS)) + np.where(np.arange(len(WORDS)) == END, 1.0, 0.0)
            told = logits - np.logaddexp.reduce(logits)
            law = np.exp(told / (temperature * self.heat))
            token = int(self.rng.choice(len(WORDS), p=law / law.sum()))
            if token == END:
                return
            if "\ufffd" not in WORDS[token]:
                yield told, token

    def listed(self, told, token, *, adds=True):
        best = [int(i) for i in np.argsort(-told, kind="stable")[: self.shown]]
        return [token, *best] if adds and token not in best else best

    def chat(self, data):
        content = [
            {
                "token": WORDS[token],
                "bytes": None,
                "logprob": float(told[token]),
                "top_logprobs": [{"token": WORDS[i], "bytes": None, "logprob": float(told[i])} for i in self.listed(told, token)],
            }
            for told, token in self.positions(data["max_tokens"], data.get("temperature", 1.0))
        ]
        choice = {"index": 0, "message": {"content": ""}, "logprobs": {"content": content}}
        return json.dumps({"choices": [choice], "usage": {"completion_tokens": len(content) + 1}}).encode()

    def completions(self, data):
        drawn = list(self.positions(data["max_tokens"], data.get("temperature", 1.0)))
        logprobs = {
            "tokens": [WORDS[token] for _, token in drawn],
            "token_logprobs": [round(float(told[token]), 5) for told, token in drawn],
            "top_logprobs": [{WORDS[i]: round(float(told[i]), 5) for i in self.listed(told, token)} for told, token in drawn],
        }
        return json.dumps({"choices": [{"index": 0, "text": "", "logprobs": logprobs}]}).encode()

    def llama_cpp(self, data):
        """Tell what the chain leaves: the law of the temperature, which is what a sampler at fault does not draw by."""
        probabilities = []
        for told, token in self.positions(data["n_predict"], data.get("temperature", 1.0)):
            law = np.exp(told / data.get("temperature", 1.0))
            law /= law.sum()
            rows = [
                {"id": i, "token": WORDS[i], "bytes": list(WORDS[i].encode()), "prob": float(law[i])}
                for i in self.listed(told, token, adds=False)
            ]
            probabilities.append({"id": token, "token": WORDS[token], "bytes": [1], "prob": float(law[token]), "top_probs": rows})
        settings = {"seed": data.get("seed", 2**32 - 1)}
        return json.dumps({"content": "", "generation_settings": settings, "completion_probabilities": probabilities}).encode()

    def answer(self, target, data):
        made = {"/v1/chat/completions": self.chat, "/v1/completions": self.completions, "/completion": self.llama_cpp}[target]
        if not data.get("stream"):
            return made(data)
        whole = json.loads(self.chat(data))["choices"][0]["logprobs"]["content"]
        pieces = [{"choices": [{"index": 0, "delta": {"content": ""}, "logprobs": {"content": [item]}}]} for item in whole]
        return b"".join(b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces) + b"data: [DONE]\n\n"
