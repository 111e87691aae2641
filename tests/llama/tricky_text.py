"""Texts that tokenizers get wrong."""

TRICKY = {
    "the known four": "Temperature is a concept",
    "digits": "In 2024, 3.14159 and 1,000,000; 007 x10 v2.0b3",
    "contractions": "I'll don't we've she'd it's y'all O'Neil WE'VE DON'T 'tis",
    "accents": "héllo Straße naïve coöperate Ångström ﬁne cafe\u0301",
    "scripts": "日本語のテキスト Привет мир שלום العربية हिन्दी ไทย 한국어",
    "other digits": "١٢٣ ４５ ½ x² Ⅳ",
    "emoji": "🙂 🤷🏽‍♀️ 👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️",
    "whitespace runs": "  a\n\n\n b\t\tc   d \r\n\u00a0e\u3000f \n ",
    "only whitespace": "    ",
    "special tokens": "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant",
    "almost special": "<|im_start |> < |im_end|> <|im_",
    "code": "def f(x_1, *args):\n    return {'a': x_1**2}  # comment\n",
    "controls": "\x00\x07\x1b[31mred\x7f\x85",
    "repeats": "aaaaaaaaaaaaaaaaaaaa !!!!!!!!!!!!!!!! ----------------",
    "long word": "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "punctuation": "“Quotes” — dashes… (brackets) [more] {yes} \\n /path/to",
    "empty": "",
}
