#!/usr/bin/env python3
"""Golden token ids from Hugging Face tokenizers, for tests/unit/model/test_tokenizer.c.

Writes tests/golden/tokenizer_small.json (a byte-level BPE trained here on the sentences below),
tests/golden/tokenizer.json (texts as hex, ids under every pre-tokenizer, chats rendered by Jinja) and
tests/golden/tokenizer_spm.json (a SentencePiece-style BPE with byte fallback, under every form that files have it in).
With a tokenizer.json as argument, adds the ids of that vocabulary under the 'smollm' pre-tokenizer
(key 'smollm2'): these run where the real model is present.

    python3 scripts/reference/tokenizer.py [path/to/SmolLM2/tokenizer.json]
"""
import copy, json, os, random, sys
import jinja2, tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers, AddedToken

SEED = 20
HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "..", "tests", "golden")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>",
            "<|end_header_id|>", "<|eot_id|>", "[INST]", "[/INST]", "<s>", "</s>"]
SENTENCES = [
    "The learner answers, the critic explains what is wrong, and the learner tries again.",
    "They're sure it's 42, we've seen 1234567 of them; I'll say so, don't you?",
    "def f(x, y=3):\n    return {'sum': x + y}  # two  spaces\n\tif (a && b) { c->d[0] += 1; }\r\n",
    "Un café à Genève coûte 4,50 €; naïve façade, Straße, señor, Dvořák.",
    "学习者回答问题，评论者解释错误。東京で寿司を食べる。한국어 문장입니다.",
    "Привет, мир! Καλημέρα κόσμε. שלום עולם. مرحبا بالعالم १२३ ٤٥٦",
    "👍🏽 👩‍👩‍👧‍👦 🇨🇭 ✨ emoji 🙂🙃",
    "   leading, trailing   \n\n\n and\u00a0hard\u3000spaces \u2028 lines\u0085 ",
]
TEXTS = SENTENCES + [
    "", " ", "  ", "\n", " \n \n", "a", " a", "a ", "A1b2  33 4444 55555 ½ Ⅷ ² ",
    "'s 'S 'LL don'T it\u2019s ſ'ſ K", "\u0000\u0001\u0007\u001b[0m\u007f\u0080\u009f", "\u180e x\u200bx \ufeff",
    "e\u0301 é \u1e9b\u0323 \u212b ﬁ", "<|im_start|>user\nhi<|im_end|>\n", "x<|im_end|><|im_end|> y <|im_end",
    "<|endoftext|>", "a" * 300, " " * 50 + "x", "\t\t\tx\t\n  y", "3.14159e-10 0x1F 1,000,000", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈",
    "C:\\path\\file.txt http://a.b/c?d=e&f=#g", "$$ x^2 + y_1 \\le \\frac{1}{2} $$", "…—–„“”‚‘’«»",
]
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(regex, behaviour="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behaviour, "invert": invert}


def byte_level(use_regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": use_regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


DIGITS = {"type": "Digits", "individual_digits": True}
# name: (named in GGUF, normalizer, pre_tokenizer, ignore_merges)
VARIANTS = {
    "gpt-2": (True, None, byte_level(True), False),
    "smollm": (True, None, sequence(DIGITS, byte_level(True)), False),
    "llama-bpe": (True, None, sequence(split(GPT4 % r"\p{N}{1,3}"), byte_level(False)), True),
    "qwen2": (True, {"type": "NFC"}, sequence(split(GPT4 % r"\p{N}"), byte_level(False)), False),
    "tekken": (True, None, sequence(split(TEKKEN), byte_level(False)), True),
    "default": (True, None, sequence(split(r"[\p{P}\$\+<=>\^~\|]+"),
                                     split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"),
                                     split(r"\p{N}+"), split("[0-9][0-9][0-9]"), byte_level(False)), False),
    "prefix-space": (False, None, byte_level(True, True), False),
    "digits-prefix": (False, None, sequence({"type": "Digits", "individual_digits": False}, byte_level(True, True)), False),
    "merged-previous": (False, {"type": "NFKC"}, sequence(split(r"\s+", "MergedWithPrevious"), byte_level(False)), False),
    "merged-next": (False, {"type": "NFD"}, sequence(split(r"\s|[aeiou]", "MergedWithNext"), byte_level(False)), False),
    "contiguous": (False, {"type": "NFKD"}, sequence(split(r"[\w']", "Contiguous"), byte_level(False)), False),
    "removed": (False, None, sequence(split(r"\s", "Removed"), byte_level(True)), False),
    "inverted": (False, None, sequence(split(r"\w+|[^\w\s]+", "Removed", True), byte_level(False)), False),
    "literal": (False, None, sequence({"type": "Split", "pattern": {"String": "."}, "behavior": "Isolated",
                                       "invert": False}, byte_level(False)), False),
}

TURNS = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
         "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
QWEN3 = """{%- set ns = namespace(last_query_index=messages|length - 1) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{%- set ns.last_query_index = loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role != 'assistant' %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- else %}
        {%- set reasoning_content = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
"""
# The smallest programs that render what the families' own templates render.
CHATS = {
    "smollm2": ("""{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}""", "<|im_start|>", "<|im_end|>"),
    "chatml-trim": ("{% for m in messages %}{% set message = m %}{{ '<|im_start|>' + message['role'] + '\\n' + "
                    "message['content'] | trim + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}"
                    "{{ '<|im_start|>assistant\\n' }}{% endif %}", "<s>", "<|im_end|>"),
    "llama3": ("{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + "
               "'<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
               "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
               "<|begin_of_text|>", "<|eot_id|>"),
    "zephyr": ("{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + "
               "eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n"
               "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n"
               "{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
               "<s>", "</s>"),
    "mistral-v3-tekken": ("{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}"
                          "{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}"
                          "{{ bos_token }}{% for message in loop_messages %}{% if message['role'] == 'user' %}"
                          "{% if loop.last and system_message is defined %}{{ '[INST]' + system_message + '\\n\\n' + "
                          "message['content'] + '[/INST]' }}{% else %}{{ '[INST]' + message['content'] + '[/INST]' }}"
                          "{% endif %}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
                          "{% endif %}{% endfor %}", "<s>", "</s>"),
    # No EOS after a user's turn, and no line end after the last answer's.
    "tulu": ("{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '\\n' }}"
             "{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'assistant' %}"
             "{% if not loop.last %}{{ '<|assistant|>\\n' + message['content'] + eos_token + '\\n' }}{% else %}"
             "{{ '<|assistant|>\\n' + message['content'] + eos_token }}{% endif %}{% endif %}"
             "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}", "<s>", "</s>"),
    "chatml-bos": ("{{ bos_token }}" + TURNS, "<|begin_of_text|>", "<|im_end|>"),
    "chatml-bos-text": ("{{ '<|begin_of_text|>' }}" + TURNS, "<|begin_of_text|>", "<|im_end|>"),
    "chatml-boxed": ("{%- if messages[0]['role'] != 'system' %}\n    {{- '<|im_start|>system\\nReason, don\\'t guess: \"\\\\boxed{}\" "
                     "holds {{it}} <b>.<|im_end|>\\n' }}\n{%- endif %}\n" + TURNS, "<s>", "<|im_end|>"),
    "chatml-variable": ("{% set system_message = 'You are a helpful assistant.' %}{% if messages[0]['role'] == 'system' %}"
                        "{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}"
                        "{% set loop_messages = messages %}{% endif %}{{ '<|im_start|>system\\n' + system_message + '<|im_end|>\\n' }}"
                        + TURNS.replace("in messages", "in loop_messages"), "<s>", "<|im_end|>"),
    # The dates stand before the first system message only.
    "llama3.1": ("{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] | trim %}"
                 "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
                 "{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}{{- 'Cutting Knowledge Date: December 2023\\n' }}"
                 "{{- 'Today Date: 26 Jul 2024\\n\\n' }}{{- system_message + '<|eot_id|>' }}{%- for message in messages %}"
                 "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
                 "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
                 "<|begin_of_text|>", "<|eot_id|>"),
    "deepseek-r1": ("{% set ns = namespace(system_prompt='') %}{% for message in messages %}{% if message['role'] == 'system' %}"
                    "{% set ns.system_prompt = message['content'] %}{% endif %}{% endfor %}{{ bos_token }}{{ ns.system_prompt }}"
                    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}"
                    "{% elif message['role'] == 'assistant' %}{% set content = message['content'] %}{% if '</think>' in content %}"
                    "{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<｜Assistant｜>' + content + '</s>' }}{% endif %}"
                    "{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}", "<s>", "</s>"),
    "qwen3": (QWEN3 + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and "
              "enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}", "<s>", "<|im_end|>"),
    "qwen3-thinking": (QWEN3 + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}", "<s>", "<|im_end|>"),
}
CONVERSATIONS = [
    [("user", "What is 12 + 30?")],
    [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", " again \n")],
    [("user", "\n\nleading line ends"), ("assistant", "\nAnswer é ½\n"), ("user", "日本語?"), ("assistant", "はい")],
]
REASONED = [("user", "What is 12 + 30?"), ("assistant", "<think>\nTwelve and thirty.\n</think>\n\n42"), ("user", "And 1?"),
            ("assistant", "43 less 42.\n</think>\n\n1")]
LATE_SYSTEM = [("system", " Be brief. "), ("user", "Hi"), ("system", "Be long."), ("user", "Hi")]
# Conversations that show what is particular to a template.
PARTICULAR = {"llama3.1": [LATE_SYSTEM, LATE_SYSTEM[1:]], "chatml-variable": [LATE_SYSTEM], "deepseek-r1": [REASONED, REASONED[:3]],
              "qwen3": [REASONED, REASONED[:3]], "qwen3-thinking": [REASONED, REASONED[:3]], "tulu": [CONVERSATIONS[1][:3]]}


def small_tokenizer():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(SENTENCES * 3 + ["<think> the the that them then"], trainer)
    tok.add_tokens([AddedToken("<think>", special=False, normalized=False), AddedToken("<word>", single_word=True, special=True),
                    AddedToken("<strip>", lstrip=True, rstrip=True, special=True)])
    return json.loads(tok.to_str())


def with_variant(data, variant):
    data = copy.deepcopy(data)
    _, data["normalizer"], data["pre_tokenizer"], data["model"]["ignore_merges"] = variant
    return Tokenizer.from_str(json.dumps(data))


def random_texts(rng, n):
    pools = ["abc XYZ 019 .,'\n\t", "éüßñçøŁ", "学習者東京한국", "👍🏽👩‍🇨🇭🙂", "\u0300\u0301\u0327e\u0308", "\u00a0\u2003\u3000\r\n ",
             "١२३½²Ⅷ", "<|im_end|><think><word><strip>"]
    return ["".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 60))) for _ in range(n)]


def chat_cases(data):
    tok = with_variant(data, VARIANTS["smollm"])
    out = []
    for name, (template, bos, eos) in CHATS.items():
        env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False)
        program = env.from_string(template)
        for conversation in CONVERSATIONS + PARTICULAR.get(name, []):
            messages = [{"role": r, "content": c} for r, c in conversation]
            for open_answer in (False, True):
                text = program.render(messages=messages, add_generation_prompt=open_answer, bos_token=bos, eos_token=eos)
                out.append({"name": name, "template": template, "bos": bos, "eos": eos, "messages": messages, "open": open_answer,
                            "text": text, "ids": tok.encode(text, add_special_tokens=False).ids})
    return out


# ---- SentencePiece's kind -------------------------------------------------------------------------------------

MARK = "\u2581"
SPM_SPECIALS = ["<unk>", "<s>", "</s>"]
SPM_TEXTS = SENTENCES + [
    "", " ", "  ", "   ", "\n", " \n \n", "a", " a", "a ", "  a  b   c    ", "\ta\t b", "the the", "'s don'T it\u2019s", "e\u0301 \u00e9 \ufb01",
    "\u0000\u0001\u007f\u0080", "<s>", "</s>", "<s>the", "the<s>the", "the <s> the", " <s>", "<s><s>", "<s> <s>", "<s>  <s>", "the</s>\nthe </s>",
    " the</s> the", "x<s", "<|user|>\nthe</s>\n<|user|>", "the <strip> the", "<strip>\n the", MARK, MARK + "the " + MARK, "the" + MARK + "the", "a" * 60,
    " " * 20 + "x", "<0x41>", "\u5b66\u4e60\u8005 \u6771\u4eac", "\U0001f44d\U0001f3fd \U0001f1e8\U0001f1ed\U0001f642", "abababa aaaa the  the",
]


def space_replace():
    return {"type": "Replace", "pattern": {"String": " "}, "content": MARK}


def prepend():
    return {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK}, space_replace()]}


def metaspace(**options):
    return {"type": "Metaspace", "replacement": MARK, **options}


def spm_decoder(strip=True):
    steps = [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    return {"type": "Sequence", "decoders": steps + [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] * strip}


# name: (normalizer, pre_tokenizer, decoder, merges, what becomes of added tokens, fuse_unk)
SPM_VARIANTS = {
    "prepend": (prepend(), None, spm_decoder(), "cuts", False, True),
    "replace": (space_replace(), None, spm_decoder(False), "cuts", False, True),
    "first": (None, metaspace(prepend_scheme="first", split=False), spm_decoder(), "cuts", False, False),
    "always": (None, metaspace(prepend_scheme="always", split=False), metaspace(prepend_scheme="always", split=False), "strings", False, True),
    "never": (None, metaspace(prepend_scheme="never", split=False), metaspace(prepend_scheme="never", split=False), "cuts", False, True),
    "legacy": (None, metaspace(add_prefix_space=True, str_rep=MARK), metaspace(add_prefix_space=True), "cuts", False, True),
    "normalized": (prepend(), None, spm_decoder(), "cuts", True, True),
    "trained": (prepend(), None, spm_decoder(), "trained", False, True),
}


def cuts(vocab, merges):
    """Merges as converters of SentencePiece write them: every cut of every token, in the order in which tokens are made."""
    made = {}
    for left, right in merges:
        made.setdefault(left + right, len(made))
    out = []
    for text in made:
        halves = [(text[:i], text[i:]) for i in range(1, len(text)) if text[:i] in vocab and text[i:] in vocab]
        out += sorted(halves, key=lambda h: (vocab[h[0]], vocab[h[1]]))
    return [list(h) for h in out]


def spm_tokenizer():
    tok = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always", split=True)
    corpus = SENTENCES * 3 + ["the the that them then abab aaaa learn earn swer erns xplai"] * 4
    characters = "".join(corpus).replace(" ", MARK)
    alphabet = sorted(set(characters), key=lambda c: (-characters.count(c), c))[:90]  # the others are bytes
    trainer = trainers.BpeTrainer(vocab_size=860, special_tokens=SPM_SPECIALS + ["<0x%02X>" % b for b in range(256)], show_progress=False,
                                  initial_alphabet=alphabet, limit_alphabet=len(alphabet))
    tok.train_from_iterator(corpus, trainer)
    data = json.loads(tok.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] in SPM_SPECIALS]
    vocab, merges = data["model"]["vocab"], [m if isinstance(m, list) else m.split(" ") for m in data["model"]["merges"]]
    for run in (2, 4):  # runs of spaces, as SentencePiece has them where it keeps spaces
        merges.append([MARK * (run // 2)] * 2)
        vocab[MARK * run] = len(vocab)
    for text, special, strips in (("<|user|>", False, False), ("<strip>", True, True)):
        data["added_tokens"].append({"id": len(vocab) + len(data["added_tokens"]) - 3, "content": text, "single_word": False, "lstrip": strips,
                                     "rstrip": strips, "normalized": False, "special": special})
    data["model"]["trained"], data["model"]["cuts"] = merges, cuts(vocab, merges)
    return data


def spm_variant(data, variant):
    data = copy.deepcopy(data)
    model = data["model"]
    data["normalizer"], data["pre_tokenizer"], data["decoder"], merges, normalized, model["fuse_unk"] = variant
    trained, every = model.pop("trained"), model.pop("cuts")
    model["merges"] = {"trained": trained, "cuts": every, "strings": [" ".join(m) for m in every]}[merges]
    for token in data["added_tokens"]:
        token["normalized"] = normalized and token["content"] in SPM_SPECIALS
    return Tokenizer.from_str(json.dumps(data))


SYSTEM_FIRST = ("{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
                "{% else %}{% set loop_messages = messages %}")
ALTERNATE = "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate.') }}{% endif %}"


def mistral(user, when, answer, tail):
    opening, closing = user
    return (SYSTEM_FIRST + "{% endif %}{{ bos_token }}{% for message in loop_messages %}" + ALTERNATE + "{% if message['role'] == 'user' %}{% if " + when +
            " and system_message is defined %}{{ '" + opening + "' + system_message + '\\n\\n' + message['content'] + '" + closing + "' }}{% else %}{{ '" +
            opening + "' + message['content'] + '" + closing + "' }}{% endif %}{% elif message['role'] == 'assistant' %}{{ ' ' + " + answer +
            " + eos_token" + tail + "}}{% endif %}{% endfor %}")


def mistral_first(tail):
    return ("{{ bos_token }}{% for message in messages %}" + ALTERNATE + "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
            "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token" + tail + " }}{% else %}"
            "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")


# family: (template, whether its turns' brackets are tokens, whether there is a system message)
SPM_CHATS = {
    "llama2": (SYSTEM_FIRST + "{% set system_message = false %}{% endif %}{% for message in loop_messages %}" + ALTERNATE +
               "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + "
               "message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
               "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
               "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}", False, True),
    "mistral-v1": (mistral((" [INST] ", " [/INST]"), "loop.first", "message['content']", ""), False, True),
    "mistral-v3": (mistral(("[INST] ", "[/INST]"), "loop.last", 'message["content"]|trim', ""), True, True),
    "mistral-v0.1": (mistral_first(" + ' '"), False, False),
    "mistral-v0.2": (mistral_first(""), False, False),
    "zephyr": (CHATS["zephyr"][0], False, True),
}
SPM_CONVERSATIONS = CONVERSATIONS + [[("system", " Two  spaces. "), ("user", " \n"), ("assistant", "  Yes \n "), ("user", "[INST x")]]


def spm_chats(data):
    out = []
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False)
    for name, (template, tokens, system) in SPM_CHATS.items():
        program = env.from_string(template)
        for form in ("prepend", "first"):
            tok_data = copy.deepcopy(data)
            for text in ("[INST]", "[/INST]") if tokens else ():
                tok_data["added_tokens"].append({"id": len(data["model"]["vocab"]) + len(tok_data["added_tokens"]) - 3, "content": text, "single_word": False,
                                                 "lstrip": False, "rstrip": False, "normalized": False, "special": True})
            tok = spm_variant(tok_data, SPM_VARIANTS[form])
            chat = {"name": name, "form": form, "template": template, "added": tok_data["added_tokens"][len(data["added_tokens"]):], "cases": []}
            for conversation in SPM_CONVERSATIONS:
                turns = [m for m in conversation if system or m[0] != "system"]
                for open_answer in (False, True):
                    messages = [{"role": r, "content": c} for r, c in turns]
                    text = program.render(messages=messages, add_generation_prompt=open_answer, bos_token="<s>", eos_token="</s>")
                    chat["cases"].append({"messages": messages, "open": open_answer,
                                          "ids": tok.encode(text, add_special_tokens=False).ids})
            out.append(chat)
    return out


def spm_golden(rng):
    data = spm_tokenizer()
    texts = SPM_TEXTS + random_texts(rng, 12)
    golden = {"made_by": "scripts/reference/tokenizer.py", "tokenizers": tokenizers.__version__, "seed": SEED, "tokenizer": data,
              "texts": [t.encode().hex() for t in texts], "variants": [], "chats": spm_chats(data)}
    for name, variant in SPM_VARIANTS.items():
        tok, plain = spm_variant(data, variant), spm_variant(data, variant)
        plain.encode_special_tokens = True
        ids = [tok.encode(t, add_special_tokens=False).ids for t in texts]
        plain_ids = [plain.encode(t, add_special_tokens=False).ids for t in texts]
        decoded = [tok.decode(i, skip_special_tokens=False) for i in ids]
        hidden = [tok.decode(i, skip_special_tokens=True) for i in ids]
        golden["variants"].append({
            "name": name, "normalizer": variant[0], "pre_tokenizer": variant[1], "decoder": variant[2], "merges": variant[3],
            "normalized": variant[4], "fuse_unk": variant[5], "ids": ids,
            # null: the same ids; the text itself; the same as with special tokens
            "plain_ids": [None if p == i else p for p, i in zip(plain_ids, ids)], "decoded": [None if d == t else d for d, t in zip(decoded, texts)],
            "hidden": [None if h == d else h for h, d in zip(hidden, decoded)]})
    return golden


def main():
    rng = random.Random(SEED)
    data = small_tokenizer()
    texts = TEXTS + random_texts(rng, 60)
    golden = {"made_by": "scripts/reference/tokenizer.py", "tokenizers": tokenizers.__version__, "seed": SEED,
              "texts": [t.encode().hex() for t in texts], "variants": [], "chats": chat_cases(data)}
    for name, variant in VARIANTS.items():
        tok = with_variant(data, variant)
        plain = with_variant(data, variant)
        plain.encode_special_tokens = True
        golden["variants"].append({
            "name": name, "named": variant[0], "normalizer": variant[1], "pre_tokenizer": variant[2],
            "ignore_merges": variant[3], "ids": [tok.encode(t, add_special_tokens=False).ids for t in texts],
            "plain_ids": [plain.encode(t, add_special_tokens=False).ids for t in texts]})
    if len(sys.argv) > 1:
        real = with_variant(json.load(open(sys.argv[1])), VARIANTS["smollm"])
        golden["smollm2"] = [real.encode(t, add_special_tokens=False).ids for t in texts]
    os.makedirs(GOLDEN, exist_ok=True)
    with open(os.path.join(GOLDEN, "tokenizer_small.json"), "w") as f:
        json.dump(data, f, ensure_ascii=True, separators=(",", ":"))
    with open(os.path.join(GOLDEN, "tokenizer.json"), "w") as f:
        json.dump(golden, f, ensure_ascii=True, separators=(",", ":"))
    with open(os.path.join(GOLDEN, "tokenizer_spm.json"), "w") as f:
        json.dump(spm_golden(random.Random(SEED + 1)), f, ensure_ascii=True, separators=(",", ":"))


main()
