"""The object store: one SeaweedFS for all tools, with TLS and signatures, on loopback.

pgBackRest speaks S3 through TLS only, so every tool is given the TLS endpoint. What the bench
itself asks (making, listing, emptying buckets) goes over plain HTTP and is in no measurement.
"""

import datetime
import hashlib
import hmac
import http.client
import os
import socket
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree as xml

from bench.measure import cpu_of, unmeasured
from bench.place import CACHE, Refused

ACCESS_KEY = "AKIABENCH"
SECRET_KEY = "benchsecret"
REGION = "us-east-1"
START_SECONDS = 60
STARTS = 3
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Store:
    """A running server. Each measurement gets a bucket of its own."""

    def __init__(self, place):
        self.place = place
        self.folder = place.fresh("store")
        self.authority = certificate(self.folder)
        self.https_port = self.http_port = 0
        self.buckets = 0
        self.process = None

    def start(self):
        """Starts it. A port that was free a moment ago may be somebody's by then: it tries anew."""
        for _ in range(STARTS):
            self.process = self.spawn()
            if self.can_make_buckets():
                return
            self.stop()
        with open(self.place.path("store/log"), "rb") as log:
            raise Refused("SeaweedFS does not start:\n" + log.read()[-2000:].decode())

    def can_make_buckets(self):
        """Waits until it is of use: its port is open before the files behind it are."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.drop(self.bucket())
                return True
            except (OSError, Refused):
                time.sleep(0.2)
        return False

    def spawn(self):
        identities = (f'{{"identities":[{{"name":"bench","credentials":[{{"accessKey":'
                      f'"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],'
                      f'"actions":["Admin","Read","Write","List","Tagging"]}}]}}')
        self.place.write("store/s3.json", identities)
        self.https_port, self.http_port, *others = free_ports(9)
        words = [os.path.join(CACHE, "seaweedfs/weed"), "-logtostderr=true", "server",
                 "-master.telemetry=false", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
                 "-s3", "-dir=.", "-s3.config=s3.json", "-s3.cert.file=server.crt",
                 "-s3.key.file=server.key", f"-s3.port={self.http_port}",
                 f"-s3.port.https={self.https_port}", "-s3.port.iceberg=0",
                 "-s3.port.lance=0", "-master.volumeSizeLimitMB=1024", "-volume.max=5000"]
        options = ["s3.port.grpc"] + [f"{part}.port{kind}" for part in ["master", "volume", "filer"]
                                      for kind in ["", ".grpc"]]
        words += [f"-{option}={port}" for option, port in zip(options, others)]
        with open(self.place.path("store/log"), "wb") as log:
            return subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def bucket(self):
        """A new bucket that has room already: the first object of a bucket makes its volumes."""
        self.buckets += 1
        name = f"bench-{self.buckets}"
        self.ask("PUT", f"/{name}")
        self.ask("PUT", f"/{name}/first", body=b"first")
        self.ask("DELETE", f"/{name}/first")
        return name

    def drop(self, bucket):
        """Deletes a bucket and all that is in it; here that takes one request."""
        self.ask("DELETE", f"/{bucket}")

    def sizes(self, bucket):
        """The keys of a bucket with the sizes of their objects."""
        found, token = {}, None
        while True:
            query = {"list-type": "2", **({"continuation-token": token} if token else {})}
            page = xml.fromstring(self.ask("GET", f"/{bucket}", query))
            for item in page.iter(NAMESPACE + "Contents"):
                found[item.findtext(NAMESPACE + "Key")] = int(item.findtext(NAMESPACE + "Size"))
            token = page.findtext(NAMESPACE + "NextContinuationToken")
            if not token:
                return found

    def fetch(self, bucket, key, file):
        self.ask("GET", f"/{bucket}/{urllib.parse.quote(key)}", into=file)

    def cpu(self):
        return cpu_of(self.process.pid)

    def environment(self):
        """What clients of Amazon need to find it."""
        return {"AWS_ENDPOINT_URL": f"https://localhost:{self.https_port}",
                "AWS_CA_BUNDLE": self.authority, "AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": REGION,
                "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}

    def ask(self, method, path, query=None, body=b"", into=None):
        host = f"127.0.0.1:{self.http_port}"
        query = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote)
        headers = signed(method, host, path, query, body)
        connection = http.client.HTTPConnection(host, timeout=120)
        try:
            connection.request(method, path + ("?" + query if query else ""), body, headers)
            answer = connection.getresponse()
            if answer.status >= 300:
                raise Refused(f"{method} {path}: {answer.status} {answer.read()[:300]}")
            if into is None:
                return answer.read()
            with open(into, "wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
            return b""
        finally:
            connection.close()


def signed(method, host, path, query, body):
    """The headers of a request with Amazon's signature, version 4."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = "\n".join([method, path, query, lines, names, digest])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                         hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + SECRET_KEY).encode()
    for word in [*scope.split("/"), to_sign]:
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, "
                                f"SignedHeaders={names}, Signature={key.hex()}")
    return headers


def certificate(folder):
    """Makes an authority and a certificate of it for localhost; returns the authority's file."""
    def openssl(*words):
        unmeasured(["openssl", *words], folder=folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj",
            "/CN=bench", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    with open(os.path.join(folder, "extensions"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
                   "basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "server.crt")
    return os.path.join(folder, "ca.crt")


def free_ports(count):
    """So many ports that nobody has, each another."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
