"""Writes tokenizer.json, a small tokenizer, and tokenizer.jsonl, hard texts with the ids and spans that the tokenizers
package gives them.

    pip install tokenizers==0.23.3
    python tokenizer.py MODEL COLLECTIONS

MODEL is a folder of all-MiniLM-L6-v2: of its vocabulary nothing is copied but the ids of the hard texts. Of the folders
in COLLECTIONS, in BEIR's layout, collections.json gets the checksums of all texts' ids.
"""
import json, os, random, string, sys, zlib
import numpy as np
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = os.path.dirname(os.path.abspath(__file__))


def small():
    """A tokenizer of a few hundred pieces, with added tokens of every kind."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]"]
    pieces += list(string.ascii_letters + string.digits + string.punctuation)
    letters = "αβγςσдежйïéüßſıəあアー가一丁㐀𠀀豈Ⅷ²½„“…—€☃😀"
    pieces += [c for c in letters] + ["ᄀ", "ᅡ", "ᆨ", "i̇", "̣", "﷽"]
    words = "the of and in un able aff token piece word query late inter action embed ding cafe naive resume Strasse istanbul 2024"
    pieces += words.split()
    inside = string.ascii_letters + string.digits + "αβγςσдежйïéüßſıəᅡᆨ́̇̈"
    pieces += ["##" + c for c in inside] + ["##" + w for w in "able ing ed er action ding s cafe 24 ᅡᆨ".split()]
    tok = Tokenizer(models.WordPiece({p: i for i, p in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]", max_input_chars_per_word=20))
    tok.normalizer = normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", AddedToken("[MASK]", lstrip=True, special=True)])
    tok.add_tokens(["[Q] ", "[D] ", AddedToken("Ünder", single_word=True), AddedToken("<r>", rstrip=True, normalized=False),
                    AddedToken("<r><r>", normalized=False), AddedToken("<lr>", lstrip=True, rstrip=True)])
    tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tok


HARD = [
    "", " ", "the", "unaffable", "The Query, the TOKEN!", "it's 2024—2025…", "a\tb\nc\r\nd\fe\vf\0g", "x\u00a0y\u3000z\u2028w\u2029v\u0085u",
    "caf\u00e9 cafe\u0301 CAF\u00c9 cafe\u0301s re\u0301sume\u0301 nai\u0308ve", "\u0301", "\u0301a", "a \u0301 b", "a\u0301\u0323\u0316", "a\u0323\u0301",
    "\u0130stanbul \u0131 I i\u0307", "Stra\u00dfe STRASSE \u1e9e \u017f", "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u03a3", "\u0434\u0435\u0436\u0451 \u0419\u0439",
    "\u4e00\u4e01\u4e00 the\u4e00of", "\u3400\U00020000\uf900\U0002f800\U0002b820\U0002b920", "\uac00\uac01\u1100\u1161\u11a8", "\u3042\u3044\u30a2\u30fc\u304c\u304b\u3099",
    "zero\u200bwidth\u200cjoin\u200der\ufeffbom\u00adsoft", "\u202ertl\u202c \u2066x\u2069", "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f", "\u2603\ufe0f\u20ac",
    "\ue000 \U000f0000 \U0010ffff \uffff \ufffd", "\u0378 \u0890 \u08e2 \U000e0001 \U000110cd", "[MASK] [SEP][CLS]x[mask] [MAS K] [[MASK]]", "the  [MASK]  of", "[unused0] ##ing ##",
    "[Q] token [D] piece [q]  [d]x[Q]", "\u00dcnder under UNDER x\u00dcnder \u00fcnder_ u\u0308nder, \u00dcnder", "<r>  a <r><r> b<r>\u3000c  <lr>  d<LR>", "  <lr>",
    "a" * 20, "a" * 21, "e\u0301" * 20, "e\u0301" * 21, "\u00e9" * 21, "able" * 5, "able" * 5 + "s", "zz\u0416", "queryqueryX", "2024 202424 20x24",
    "func (t *Tokenizer) Tokenize(text string, limit int) Pieces { return nil } // O(n^2)", "https://example.org/a?b=c&d=%20#e", "snake_case camelCase x+=1; $a{b}",
    "\u2167 \u00b2 \u00bd \ufb01 \ufdfd \u1e69 \u0344 \u1fb7 \u212b \uff21\uff42", "\u302a\u0301\u302e\u0316 a\u302e\u0316\u0301b", "\u0e01\u0e33\u0e48 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001d15e \U0001d1bb", "\ua7cb \u1c89 \U00010d50 \U00016ea0 \u0130\u0307",
]
LONG = [("a", 100_000), ("\u00e9", 100_000), ("e\u0301", 50_000), ("the of ", 500), ("\u4e00", 500)]
VARIANTS = {"": {}, "cased": {"lowercase": False}, "accents": {"strip_accents": False}, "cased, no accents": {"lowercase": False, "strip_accents": True},
            "raw": {"clean_text": False, "handle_chinese_chars": False}}


def made_up(rng):
    pool = [lambda: rng.choice(string.ascii_letters), lambda: chr(rng.randint(0x300, 0x36f)), lambda: rng.choice(" .,-_'\n"), lambda: chr(rng.randint(0xa0, 0x24f)),
            lambda: chr(rng.randint(0x370, 0xd7ff)), lambda: chr(rng.randint(0xe000, 0x10ffff)), lambda: rng.choice(["[MASK]", "[Q] ", "[SEP]", "<r>", "<lr>", "able", "the "])]
    return "".join(rng.choice(pool)() for _ in range(rng.randint(1, 24)))


def line(tok, variant, text, repeat, spans):
    t = text * repeat
    e = tok.encode(t)
    starts = [0]
    for c in t:
        starts.append(starts[-1] + len(c.encode()))
    out = {"variant": variant, "text": text, "repeat": repeat, "ids": e.ids[1:-1]}
    if spans:
        out["spans"] = [[starts[a], starts[b]] for a, b in e.offsets[1:-1]]
    return json.dumps(out, separators=(",", ":")) + "\n"


def main():
    tok = small()
    tok.save(os.path.join(HERE, "tokenizer.json"), pretty=False)
    rng = random.Random(1)
    texts = [(t, 1) for t in HARD] + [(made_up(rng), 1) for _ in range(150)] + LONG
    with open(os.path.join(HERE, "tokenizer.jsonl"), "w") as f:
        for name, change in VARIANTS.items():
            tok.normalizer = normalizers.BertNormalizer(**change)
            # The added tokens are normalised when the file is read.
            variant = Tokenizer.from_str(tok.to_str())
            f.writelines(line(variant, name, t, n, True) for t, n in texts)
        tok = Tokenizer.from_file(os.path.join(sys.argv[1], "tokenizer.json"))
        tok.no_padding(), tok.no_truncation()
        f.writelines(line(tok, "all-MiniLM-L6-v2", t, n, False) for t, n in texts)
    sums = {}
    for name in ("cranfield", "npl", "cisi", "docs30k"):
        lines = [json.loads(x) for x in open(os.path.join(sys.argv[2], name, "corpus.jsonl"), encoding="utf-8")]
        ids = [e.ids[1:-1] for e in tok.encode_batch([x["text"] for x in lines])]
        sums[name] = {"texts": len(ids), "ids": sum(map(len, ids)), "crc32": zlib.crc32(np.concatenate(ids).astype("<u4").tobytes())}
    json.dump(sums, open(os.path.join(HERE, "collections.json"), "w"), indent=1)


if __name__ == "__main__":
    main()
