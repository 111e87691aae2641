"""torch: torch.multinomial and torch.distributions.Categorical, on the softmax of the logits in several precisions."""

import torch

import samplerfuzz as sf

LACKS = {}

torch.set_num_threads(1)


def version():
    return f"torch {torch.__version__}"


def drawn(logits, seed, dtype):
    torch.manual_seed(seed)
    return torch.multinomial(torch.tensor(logits).softmax(-1).to(dtype), num_samples=1)[:, 0].numpy()


@sf.target(order=[], returns="tokens")
def multinomial(logits, seed):
    """torch.multinomial of float32 probabilities"""
    return drawn(logits, seed, torch.float32)


@sf.target(order=[], returns="tokens")
def multinomial_float64(logits, seed):
    """torch.multinomial of float64 probabilities"""
    return drawn(logits, seed, torch.float64)


@sf.target(order=[], returns="tokens", dtype="bfloat16", draws_in="float32")
def multinomial_bfloat16(logits, seed):
    """torch.multinomial of bfloat16 probabilities"""
    return drawn(logits, seed, torch.bfloat16)


@sf.target(order=[], returns="tokens", dtype="float16", draws_in="float32")
def multinomial_float16(logits, seed):
    """torch.multinomial of float16 probabilities"""
    return drawn(logits, seed, torch.float16)


@sf.target(order=[], returns="tokens")
def multinomial_with_replacement(logits, seed):
    """the second of two draws of torch.multinomial with replacement: another kernel than for one draw"""
    torch.manual_seed(seed)
    return torch.multinomial(torch.tensor(logits).softmax(-1), num_samples=2, replacement=True)[:, 1].numpy()


@sf.target(order=[], returns="tokens")
def multinomial_weights(logits, seed):
    """torch.multinomial of weights that do not sum to 1"""
    torch.manual_seed(seed)
    row = torch.tensor(logits)
    return torch.multinomial((row - row.amax(-1, keepdim=True)).exp() * 3, num_samples=1)[:, 0].numpy()


@sf.target(order=[], returns="tokens")
def multinomial_generator(logits, seed):
    """torch.multinomial with a torch.Generator"""
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor(logits).softmax(-1), num_samples=1, generator=generator)[:, 0].numpy()


@sf.target(order=[], returns="tokens")
def categorical(logits, seed):
    """torch.distributions.Categorical of logits"""
    torch.manual_seed(seed)
    return torch.distributions.Categorical(logits=torch.tensor(logits)).sample().numpy()


@sf.target(order=[], returns="tokens")
def categorical_probs(logits, seed):
    """torch.distributions.Categorical of probabilities"""
    torch.manual_seed(seed)
    return torch.distributions.Categorical(probs=torch.tensor(logits).softmax(-1)).sample().numpy()


@sf.target(order=[], returns="tokens", dtype="bfloat16", draws_in="float32")
def categorical_bfloat16(logits, seed):
    """torch.distributions.Categorical of bfloat16 logits"""
    torch.manual_seed(seed)
    return torch.distributions.Categorical(logits=torch.tensor(logits).bfloat16()).sample().numpy()


@sf.target(order=["temperature"], returns="tokens", zero_temperature="reject")
def gumbel_softmax(logits, temperature, seed):
    """torch.nn.functional.gumbel_softmax with hard=True, whose arg-max does not depend on tau"""
    # torch knows nothing of this temperature: where the division has no number for an answer it is refused here
    if not 0 < temperature < float("inf"):
        raise ValueError("temperature")
    divided = torch.tensor(logits) / temperature
    if divided.isinf().ne(torch.tensor(logits).isinf()).any():
        raise ValueError("temperature: overflow")
    torch.manual_seed(seed)
    return torch.nn.functional.gumbel_softmax(divided, tau=1.0, hard=True, dim=-1).argmax(-1).numpy()
