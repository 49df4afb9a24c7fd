"""Certificates for tests, made by the openssl command."""

import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder, name):
        self.folder = folder
        self.name = name
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
                 f"/CN={name}", "-keyout", str(self.key), "-out", str(self.certificate))

    def issue(self, name, serial):
        """A certificate for localhost and its key; paths."""
        certificate, key, request = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout",
                 str(key), "-out", str(request))
        _openssl("x509", "-req", "-days", "30", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.key),
                 "-set_serial", str(serial), "-extfile", str(extensions), "-out", str(certificate))
        return certificate, key
