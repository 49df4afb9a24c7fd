"""A model in llama.cpp's file format with made-up weights: it says nothing sensible, at the speed that its size asks for."""

import random
import struct

ALIGNMENT = 32
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}")
WORDS = "the a of and to in is it on fuse breaker span queue tool agent model token first open closed".split()

UINT32, FLOAT32, BOOL, STRING, ARRAY, INT32 = 4, 6, 7, 8, 9, 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, data):
    return string(key) + struct.pack("<I", kind) + data


def number(key, value):
    return entry(key, UINT32, struct.pack("<I", value))


def array(key, kind, items):
    return entry(key, ARRAY, struct.pack("<IQ", kind, len(items)) + b"".join(items))


def vocabulary():
    """The tokens with their kinds: three of control, a byte each, and the printable characters and some words."""
    tokens = [(b"<unk>", UNKNOWN), (b"<s>", CONTROL), (b"</s>", CONTROL)]
    tokens += [(b"<0x%02X>" % byte, BYTE) for byte in range(256)]
    words = ["▁"] + [chr(code) for code in range(33, 127)] + ["▁" + word for word in WORDS]
    return tokens + [(word.encode(), NORMAL) for word in words]


def write(path, width=64, layers=2, heads=4, hidden=128, context=4096):
    """Writes the model; the default is of half a megabyte and loads at once."""
    tokens = vocabulary()
    metadata = [
        entry("general.architecture", STRING, string("llama")), entry("general.name", STRING, string("made up")),
        number("llama.context_length", context), number("llama.embedding_length", width), number("llama.block_count", layers),
        number("llama.feed_forward_length", hidden), number("llama.attention.head_count", heads),
        number("llama.attention.head_count_kv", heads), number("llama.rope.dimension_count", width // heads),
        number("llama.vocab_size", len(tokens)),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-5)),
        entry("tokenizer.ggml.model", STRING, string("llama")),
        array("tokenizer.ggml.tokens", STRING, [string(token) for token, _ in tokens]),
        array("tokenizer.ggml.scores", FLOAT32, [
            struct.pack("<f", -float(index) if kind == NORMAL else 0.0) for index, (_, kind) in enumerate(tokens)]),
        array("tokenizer.ggml.token_type", INT32, [struct.pack("<i", kind) for _, kind in tokens]),
        number("tokenizer.ggml.bos_token_id", 1), number("tokenizer.ggml.eos_token_id", 2),
        number("tokenizer.ggml.unknown_token_id", 0), entry("tokenizer.ggml.add_bos_token", BOOL, b"\1"),
        entry("tokenizer.ggml.add_eos_token", BOOL, b"\0"), entry("tokenizer.chat_template", STRING, string(TEMPLATE)),
    ]
    tensors = [("token_embd.weight", (width, len(tokens))), ("output_norm.weight", (width,)), ("output.weight", (width, len(tokens)))]
    for layer in range(layers):
        shapes = {
            "attn_norm": (width,), "attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width),
            "attn_output": (width, width), "ffn_norm": (width,), "ffn_gate": (width, hidden), "ffn_up": (width, hidden),
            "ffn_down": (hidden, width)}
        tensors += [(f"blk.{layer}.{name}.weight", shape) for name, shape in shapes.items()]
    luck = random.Random(1)
    # A few thousand numbers, over and over: what they are does not matter.
    weights = [luck.gauss(0, 1) for _ in range(4099)]
    head, offset, bodies = [], 0, []
    for name, shape in tensors:
        count = 1
        for length in shape:
            count *= length
        if len(shape) == 1:
            data = struct.pack("<f", 1.0) * count
        else:
            scale = shape[0] ** -0.5
            period = struct.pack(f"<{len(weights)}f", *(weight * scale for weight in weights))
            data = (period * (count // len(weights) + 1))[:4 * count]
        head.append(string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", 0, offset))
        data += b"\0" * (-len(data) % ALIGNMENT)
        offset += len(data)
        bodies.append(data)
    with open(path, "wb") as file:
        start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(metadata) + b"".join(head)
        file.write(start + b"\0" * (-len(start) % ALIGNMENT))
        for body in bodies:
            file.write(body)
    return path
