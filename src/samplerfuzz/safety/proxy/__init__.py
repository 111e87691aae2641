"""A reverse proxy in front of a server of language models: what is asked is held to a policy, what is answered is watched beside the bytes."""
