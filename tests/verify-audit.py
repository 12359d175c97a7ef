#!/usr/bin/env python3
"""Verifies an audit log from docs/audit.md alone: nothing of Bartizan's code, and nothing but Python's own library.

verify-audit.py FILE...       the log's files in order; the last word of the output is the number of lines
The ed25519 part follows RFC 8032, section 6; it is slow and has no secrets to keep.
"""
import base64
import hashlib
import json
import sys

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def x_of(y, sign):
    assert y < P
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    assert (x * x - x2) % P == 0 and not (x == 0 and sign)
    return P - x if x & 1 != sign else x


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    i, j, k, l = f - e, h - g, h + g, f + e
    return (i * j % P, k * l % P, j * k % P, i * l % P)


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = x_of(y, sign)
    return (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = x_of(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def is_signature(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def verify(paths):
    before, head, key, stub, told, count = None, None, None, None, False, 0
    for path in paths:
        data = open(path, "rb").read()
        assert not data or data.endswith(b"\n"), "the last line is cut"
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            where = f"{path}:{number}"
            record = json.loads(line)
            signed, _, rest = line.rpartition(b',"signature":"')
            assert rest.endswith(b'"}') and signed, f"{where}: not sealed"
            key = key or record["publicKey"]
            assert record["publicKey"] == key, f"{where}: foreign key"
            signature = base64.b64decode(rest[:-2], validate=True)
            assert is_signature(base64.b64decode(key), signed, signature), f"{where}: edited"
            if record["event"] == "pruned":
                assert before is None, f"{where}: a stub in the middle"
                before, head = record["sequence"], record["previousHash"]
                key, stub = record["nextPublicKey"], (before, head)
                continue
            if before is None:
                assert (record["sequence"], record["previousHash"]) == (1, "0" * 64), f"{where}: lines before are missing"
            else:
                assert record["sequence"] == before + 1, f"{where}: removed or reordered"
                assert record["previousHash"] == head, f"{where}: not the line that followed"
            if record["event"] == "key-rotation":
                proof = f"bartizan audit key 1\n{key}\n{record['newPublicKey']}\n{record['sequence']}".encode()
                new = base64.b64decode(record["newPublicKey"])
                assert is_signature(new, proof, base64.b64decode(record["newSignature"])), f"{where}: no proof"
                key = record["newPublicKey"]
            if record["event"] == "prune":
                told = told or (record["through"], record["headHash"]) == stub
            before, head, count = record["sequence"], hashlib.sha256(line).hexdigest(), count + 1
    assert stub is None or told, "a stub that no line tells of"
    return count


if __name__ == "__main__":
    try:
        print("verified", verify(sys.argv[1:]))
    except (AssertionError, KeyError, ValueError) as error:
        sys.exit(f"{error}")
