#!/usr/bin/env python3
"""Compares proto/ with the descriptors of the PyPI package opentelemetry-proto.

Usage: check-proto.py [proto directory]

Needs protoc on the path, and the packages protobuf and opentelemetry-proto (pip install opentelemetry-proto).
Exits 0 when both say the same of every message, field, oneof, enum, service and reserved number, 1 with a list of
differences otherwise, and 2 when the comparison cannot be made.

Left out on purpose: the profiles signal, google/*, comments, and options that only matter to other languages' generators.
"""

import importlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import opentelemetry.proto
    from google.protobuf import descriptor_pb2
except ImportError as error:
    print(f"check-proto: {error}; run: pip install opentelemetry-proto", file=sys.stderr)
    sys.exit(2)

PREFIX = "opentelemetry/proto/"
SKIPPED = re.compile(r"(^|/)profiles/")

FieldProto = descriptor_pb2.FieldDescriptorProto
TYPES = {value.number: value.name for value in FieldProto.Type.DESCRIPTOR.values}
LABELS = {value.number: value.name for value in FieldProto.Label.DESCRIPTOR.values}


def ours(directory):
    """The files under `directory`, compiled, by name."""
    names = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) / "descriptors"
        compiled = subprocess.run(["protoc", f"-I{directory}", f"--descriptor_set_out={output}", *names])
        if compiled.returncode != 0:
            sys.exit(2)
        files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    return {file.name: file for file in files if file.name.startswith(PREFIX) and not SKIPPED.search(file.name)}


def theirs():
    """The files that the installed package carries, by name."""
    files = {}
    for root in map(pathlib.Path, opentelemetry.proto.__path__):
        for path in sorted(root.rglob("*_pb2.py")):
            module = PREFIX + path.relative_to(root).with_suffix("").as_posix()
            if SKIPPED.search(module):
                continue
            file = descriptor_pb2.FileDescriptorProto()
            importlib.import_module(module.replace("/", ".")).DESCRIPTOR.CopyToProto(file)
            files[file.name] = file
    return files


def oneof_name(message, field):
    return message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else "-"


def packed(field):
    return str(field.options.packed) if field.options.HasField("packed") else "default"


def flatten_enum(path, enum, facts):
    facts[f"enum {path}"] = "exists"
    for value in enum.value:
        facts[f"enum {path} value {value.name}"] = f"number {value.number}"
    facts[f"enum {path} reserved"] = str(sorted((item.start, item.end) for item in enum.reserved_range))


def flatten_message(path, message, facts):
    facts[f"message {path}"] = "exists"
    for field in message.field:
        facts[f"field {path}.{field.name}"] = ", ".join([
            f"number {field.number}",
            LABELS[field.label],
            f"{TYPES[field.type]} {field.type_name}".strip(),
            f"oneof {oneof_name(message, field)}",
            f"optional {field.proto3_optional}",
            f"packed {packed(field)}",
            f"json {field.json_name or '-'}" if field.json_name and field.json_name != camel(field.name) else "json default",
        ])
    facts[f"message {path} oneofs"] = str([oneof.name for oneof in message.oneof_decl])
    facts[f"message {path} reserved"] = str(
        sorted((item.start, item.end) for item in message.reserved_range) + sorted(message.reserved_name))
    for enum in message.enum_type:
        flatten_enum(f"{path}.{enum.name}", enum, facts)
    for nested in message.nested_type:
        flatten_message(f"{path}.{nested.name}", nested, facts)


def camel(name):
    """The JSON name that proto3 gives a field."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def flatten(file):
    """Every fact of a file that is worth comparing, by a name that a person can find in the schema."""
    facts = {
        f"file {file.name} package": file.package,
        f"file {file.name} syntax": file.syntax,
        f"file {file.name} imports": str(sorted(file.dependency)),
    }
    for enum in file.enum_type:
        flatten_enum(f"{file.package}.{enum.name}", enum, facts)
    for message in file.message_type:
        flatten_message(f"{file.package}.{message.name}", message, facts)
    for service in file.service:
        for method in service.method:
            facts[f"method {file.package}.{service.name}.{method.name}"] = (
                f"{method.input_type} -> {method.output_type}, "
                f"streams {method.client_streaming}/{method.server_streaming}")
    return facts


def compare(left, right):
    """The differences between two tables of facts, one readable entry each."""
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            yield f"only in proto/:       {name} ({left[name]})"
        elif name not in left:
            yield f"only in the package:  {name} ({right[name]})"
        elif left[name] != right[name]:
            yield f"differs:              {name}\n    proto/:  {left[name]}\n    package: {right[name]}"


def package_release():
    """The schema release that the package says it was generated from, `None` when it does not say."""
    text = importlib.metadata.metadata("opentelemetry-proto").get_payload() or ""
    found = re.search(r"releases/tag/(v[0-9.]+[0-9])", text)
    return found.group(1) if found else None


def main():
    default = pathlib.Path(__file__).resolve().parent.parent / "proto"
    directory = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default
    left, right = ours(directory), theirs()
    if not right:
        print("check-proto: no descriptors found in the package opentelemetry-proto", file=sys.stderr)
        return 2

    facts = 0
    differences = list(compare({f"file {name}": "whole" for name in left}, {f"file {name}": "whole" for name in right}))
    for name in sorted(left.keys() & right.keys()):
        mine = flatten(left[name])
        facts += len(mine)
        differences += compare(mine, flatten(right[name]))

    release = package_release()
    stated = (directory / "VERSION").read_text().strip()
    if release and release != stated:
        differences.append(f"differs:              proto/VERSION says {stated}, the package was generated from {release}")

    version = importlib.metadata.version("opentelemetry-proto")
    for difference in differences:
        print(difference)
    if differences:
        print(f"check-proto: {len(differences)} differences from opentelemetry-proto {version}", file=sys.stderr)
        return 1
    print(f"check-proto: {facts} facts of {len(left)} files agree with opentelemetry-proto {version} (schema {release or 'of unstated release'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
