"""Writes models/, a small random BERT in four layouts, and models.json, what the libraries make of texts with them.

    pip install pylate==1.6.0                                                   # brings torch, transformers
    pip install --no-deps --target NEW sentence-transformers==6.2.0             # for the multi-vector layout
    python models.py && PYTHONPATH=NEW python models.py multivector

The second call adds to what the first has written. Weights are stored in float32, float16 and bfloat16; the libraries
compute in float32 with the same rounded values.
"""
import json, os, shutil, sys
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "models")
QUERIES = ["the late query", "caf\u00e9 able, token!", "unable resume of the inter action embedding pieces word query", "\u4e00 [MASK] [Q] x"]
DOCUMENTS = ["The late inter action, of tokens.", "", "x" * 30, "words: embedding (24)... and the naive Strasse? " * 4, "e\u0301a [SEP] token's"]


def backbone(folder, seed, act="gelu"):
    """Saves a random BERT with its tokenizer."""
    torch.manual_seed(seed)
    tok = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(os.path.join(HERE, "tokenizer.json")), unk_token="[UNK]", sep_token="[SEP]",
                                  pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]", model_max_length=64)
    model = BertModel(BertConfig(vocab_size=262, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
                                 max_position_embeddings=64, hidden_act=act, layer_norm_eps=1e-7), add_pooling_layer=False)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3) if p.dim() > 1 else torch.nn.init.normal_(p, mean=0.5, std=0.3)
    model.save_pretrained(folder), tok.save_pretrained(folder)
    # Other tokenizers would be read than the one that is tested.
    shutil.copy(os.path.join(HERE, "tokenizer.json"), folder)


def rounded(path, dtype, prefix=""):
    """Stores a file of weights in another type."""
    save_file({prefix + k: v.to(dtype).contiguous() for k, v in load_file(path).items()}, path, metadata={"format": "pt"})


def edit(path, **change):
    value = {**json.load(open(path)), **change} if os.path.exists(path) else change
    json.dump(value, open(path, "w"), indent=1)


def rows(vectors):
    return [[round(float(x), 6) for x in row] for row in vectors]


def case(folder, queries, documents, changes={}):
    return {"folder": folder, "changes": changes, "queries": [rows(q) for q in queries], "documents": [rows(d) for d in documents]}


def plain():
    folder = os.path.join(OUT, "plain")
    backbone(folder, 1)
    json.dump([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}], open(os.path.join(folder, "modules.json"), "w"), indent=1)
    from transformers import AutoModel, AutoTokenizer
    model, tok = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def encode(text):
        e = tok(text, return_tensors="pt", truncation=True, max_length=32)
        with torch.no_grad():
            return torch.nn.functional.normalize(model(**e).last_hidden_state[0], dim=-1)

    return [case("plain", [encode(q) for q in QUERIES], [])]


def pylate():
    from pylate.models import ColBERT
    folder, start = os.path.join(OUT, "pylate"), os.path.join("/tmp", "pylate-start")
    backbone(start, 2, act="gelu_new")
    torch.manual_seed(3)
    ColBERT(start, embedding_size=16, query_length=12, document_length=20, device="cpu").save_pretrained(folder)
    shutil.copy(os.path.join(HERE, "tokenizer.json"), folder)
    for file in ("model.safetensors", "1_Dense/model.safetensors"):
        rounded(os.path.join(folder, file), torch.float16)
    edit(os.path.join(folder, "config.json"), dtype="float32")
    name = "config_sentence_transformers.json"
    original = open(os.path.join(folder, name)).read()
    cases = []
    for change in ({}, {"attend_to_expansion_tokens": True}, {"do_query_expansion": False}, {"skiplist_words": ["the", "of", "[SEP]"], "query_length": 9, "document_length": 64},
                   {"query_prefix": "", "document_prefix": "[unused1]"}):
        edit(os.path.join(folder, name), **change)
        model = ColBERT(folder, device="cpu", model_kwargs={"dtype": torch.float32})
        cases.append(case("pylate", model.encode(QUERIES, is_query=True), model.encode(DOCUMENTS, is_query=False), {name: change} if change else {}))
        open(os.path.join(folder, name), "w").write(original)
    return cases


def stanford():
    from pylate.models import ColBERT
    folder = os.path.join(OUT, "stanford")
    backbone(folder, 4, act="relu")
    path = os.path.join(folder, "model.safetensors")
    rounded(path, torch.bfloat16, "bert.")
    torch.manual_seed(5)
    save_file({**load_file(path), "linear.weight": torch.randn(8, 32).to(torch.bfloat16)}, path, metadata={"format": "pt"})
    edit(os.path.join(folder, "config.json"), architectures=["HF_ColBERT"], dtype="float32")
    cases = []
    for change in ({"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 12, "doc_maxlen": 24, "mask_punctuation": True, "attend_to_mask_tokens": False},
                   {"query_token_id": "[unused1]", "doc_token_id": "[unused0]", "query_maxlen": 16, "doc_maxlen": 12, "attend_to_mask_tokens": True}):
        json.dump(change, open(os.path.join(folder, "artifact.metadata"), "w"), indent=1)
        model = ColBERT(folder, device="cpu", model_kwargs={"dtype": torch.float32})
        cases.append(case("stanford", model.encode(QUERIES, is_query=True), model.encode(DOCUMENTS, is_query=False), {"artifact.metadata": change}))
    return cases


def multivector():
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Normalize
    folder, start = os.path.join(OUT, "multivector"), os.path.join("/tmp", "multivector-start")
    backbone(start, 6)
    torch.manual_seed(7)
    wide = Dense(32, 24, activation_function=torch.nn.Tanh(), module_input_name="token_embeddings", use_residual=True)
    narrow = Dense(24, 8, bias=False, activation_function=None, module_input_name="token_embeddings")
    model = MultiVectorEncoder(modules=[Transformer(start, document_length=20, query_expansion={"strategy": "fixed", "length": 10}), wide, narrow,
                                        MultiVectorMask(skiplist_words=[",", ".", "the"]), Normalize(module_input_name="token_embeddings")],
                               prompts={"query": "[unused0] of ", "document": "word "}, device="cpu")
    model.save_pretrained(folder)
    shutil.copy(os.path.join(HERE, "tokenizer.json"), folder)
    cases, settings, mask = [], "sentence_bert_config.json", "3_MultiVectorMask/config.json"
    for changes in ({}, {settings: {"query_expansion": {"strategy": "min", "length": 8, "attend": True, "token": "[PAD]"}, "query_length": 14}},
                    {settings: {"query_expansion": None, "document_length": None}, mask: {"skiplist_tasks": ["query", "document"], "keep_only_token_ids": [2, 142, 145, 246, 80]}}):
        originals = {f: open(os.path.join(folder, f)).read() for f in changes}
        for f, change in changes.items():
            edit(os.path.join(folder, f), **change)
        model = MultiVectorEncoder(folder, device="cpu")
        cases.append(case("multivector", model.encode_query(QUERIES), model.encode_document(DOCUMENTS), changes))
        for f, text in originals.items():
            open(os.path.join(folder, f), "w").write(text)
    return cases


def main():
    path = os.path.join(HERE, "models.json")
    if sys.argv[1:] == ["multivector"]:
        cases = [c for c in json.load(open(path))["cases"] if c["folder"] != "multivector"] + multivector()
    else:
        shutil.rmtree(OUT, ignore_errors=True)
        cases = plain() + pylate() + stanford()
    json.dump({"queries": QUERIES, "documents": DOCUMENTS, "cases": cases}, open(path, "w"), separators=(",", ":"))
    for folder, _, files in os.walk(OUT):
        for file in files:  # what nothing reads
            if file in ("README.md", "special_tokens_map.json", "vocab.txt", "added_tokens.json"):
                os.remove(os.path.join(folder, file))


if __name__ == "__main__":
    main()
