"""An emulator of Google Cloud Storage for tests: emulator.py PORT FOLDER.

What it does is what Google documents of the XML API (objects, listings, multipart uploads) and of
the JSON API as far as Google's own Python client needs it (buckets, objects, simple and resumable
uploads, batches). Contents go to files in FOLDER as they come and are never whole in memory, but
for the JSON API's small uploads. It lets everybody in, except with the token `wrong`. It knows
nothing of access control, versions, encryption (the name of a key is kept) and lifecycles.
"""
import base64
import email
import hashlib
import http.server
import json
import os
import re
import shutil
import sys
import threading
import time
import traceback
import urllib.parse
import uuid
from xml.sax.saxutils import escape

import google_crc32c

SMALLEST_PART = 5 * 1024 * 1024
CHUNK = 1024 * 1024
PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
LOCK = threading.RLock()
BUCKETS = {}  # name -> {object name -> Object}
UPLOADS = {}  # multipart upload id -> Upload
SESSIONS = {}  # resumable upload id -> Upload
MESSAGES = {
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The requested upload was not found."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold."),
    "BucketAlreadyOwnedByYou": (409, "Your previous request to create the bucket succeeded."),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum object size."),
    "InvalidPart": (400, "One of the parts could not be found or its ETag does not match."),
    "InvalidArgument": (400, "Invalid argument."),
    "InvalidRange": (416, "The requested range cannot be satisfied."),
    "AuthenticationRequired": (401, "Authentication required."),
    "NotImplemented": (501, "This emulator does not know that."),
}


class Refusal(Exception):
    pass


class Content:
    """Bytes in a file, with their checksums."""

    def __init__(self):
        self.path = os.path.join(FOLDER, uuid.uuid4().hex)
        self.size, self.md5, self.crc = 0, hashlib.md5(), google_crc32c.Checksum()
        self.file = open(self.path, "wb")

    def add(self, data):
        self.file.write(data)
        self.size += len(data)
        self.md5.update(data)
        self.crc.update(data)

    def end(self):
        self.file.close()
        return self

    def hashes(self):
        crc = base64.b64encode(self.crc.digest()).decode()
        return crc, base64.b64encode(self.md5.digest()).decode()


class Object:
    def __init__(self, content, fields):
        self.content, self.fields = content, dict(fields)
        self.updated = time.time()
        self.generation = time.time_ns() // 1000
        self.etag = f'"{content.md5.hexdigest()}"'

    def timestamp(self):
        now = time.gmtime(self.updated)
        return time.strftime("%Y-%m-%dT%H:%M:%S", now) + f".{int(self.updated * 1000) % 1000:03}Z"

    def as_json(self, bucket, name):
        crc, md5 = self.content.hashes()
        return {
            **self.fields, "kind": "storage#object", "id": f"{bucket}/{name}/{self.generation}",
            "name": name, "bucket": bucket, "generation": str(self.generation),
            "metageneration": "1", "size": str(self.content.size), "crc32c": crc, "md5Hash": md5,
            "etag": self.etag, "timeCreated": self.timestamp(), "updated": self.timestamp(),
            "storageClass": "STANDARD",
        }


class Upload:
    def __init__(self, bucket, name, fields, generation=None):
        self.bucket, self.name, self.fields = bucket, name, fields
        self.generation, self.parts, self.content = generation, {}, Content()


def objects_of(bucket):
    if bucket not in BUCKETS:
        raise Refusal("NoSuchBucket")
    return BUCKETS[bucket]


def object_of(bucket, name):
    objects = objects_of(bucket)
    if name not in objects:
        raise Refusal("NoSuchKey")
    return objects[name]


def store(bucket, name, content, fields, generation=None):
    """Stores an object, if the one there is of this generation; 0 means none, None any."""
    with LOCK:
        objects = objects_of(bucket)
        there = objects[name].generation if name in objects else 0
        if generation not in (None, str(there)):
            os.unlink(content.path)
            raise Refusal("PreconditionFailed")
        replaced = objects.get(name)
        made = objects[name] = Object(content, fields)
        if replaced:
            os.unlink(replaced.content.path)
        return made


def delete(bucket, name):
    with LOCK:
        gone = object_of(bucket, name)
        del BUCKETS[bucket][name]
        os.unlink(gone.content.path)


def page(bucket, prefix, delimiter, after, limit):
    """Objects and common prefixes after a name, at most `limit`, and where the next page begins."""
    found, last = [], None
    with LOCK:
        for name in sorted(objects_of(bucket), key=lambda name: name.encode()):
            if not name.startswith(prefix) or (after and name.encode() <= after.encode()):
                continue
            end = name.find(delimiter, len(prefix)) if delimiter else -1
            entry = ("prefix", name[: end + len(delimiter)]) if end >= 0 else ("object", name)
            if after and entry[0] == "prefix" and after.startswith(entry[1]):
                continue
            if found and found[-1] == entry:
                last = name
                continue
            if len(found) == limit:
                return found, last
            found.append(entry)
            last = name
    return found, None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        self.raw_path, _, raw_query = self.path.partition("?")
        pairs = urllib.parse.parse_qsl(raw_query, keep_blank_values=True)
        self.query = dict(pairs)
        self.left = int(self.headers.get("Content-Length") or 0)
        self.is_json = re.match(r"/(upload/|download/|batch/)?storage/v1|/batch", self.raw_path)
        try:
            if self.headers.get("Authorization") == "Bearer wrong":
                raise Refusal("AuthenticationRequired")
            self.route_json() if self.is_json else self.route_xml()
        except Refusal as refusal:
            self.refuse(str(refusal))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any

    # --- bodies and answers ---

    def body(self):
        data = self.rfile.read(self.left)
        self.left = 0
        return data

    def receive(self, content):
        while self.left:
            data = self.rfile.read(min(CHUNK, self.left))
            if not data:
                # The client went away: what came is no object.
                content.end()
                os.unlink(content.path)
                raise ConnectionError("the body ended early")
            self.left -= len(data)
            content.add(data)
        return content

    def answer(self, status, body=b"", kind="application/xml; charset=UTF-8", headers=()):
        while self.left:
            self.left -= len(self.rfile.read(min(CHUNK, self.left))) or self.left
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 308):
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, document, status=200, headers=()):
        self.answer(status, json.dumps(document), "application/json; charset=UTF-8", headers)

    def refuse(self, code):
        status, message = MESSAGES[code]
        if self.is_json:
            error = {"code": status, "message": message, "errors": [{"message": message}]}
            self.answer_json({"error": error}, status)
        else:
            xml = "<?xml version='1.0' encoding='UTF-8'?>"
            text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            self.answer(status, xml + text)

    def send_content(self, found):
        size = found.content.size
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        first, last, status = 0, size - 1, 200
        if wanted and wanted.group(0) != "bytes=-":
            first, last, status = *self.range_in(wanted, size), 206
        crc, md5 = found.content.hashes()
        self.send_response(status)
        modified = self.date_time_string(found.updated)
        for name, value in [
            ("Content-Type", found.fields.get("contentType", "application/octet-stream")),
            ("Content-Length", str(last - first + 1)), ("ETag", found.etag),
            ("Last-Modified", modified), ("Accept-Ranges", "bytes"),
            ("x-goog-generation", str(found.generation)), ("x-goog-metageneration", "1"),
            ("x-goog-stored-content-encoding", "identity"),
            ("x-goog-stored-content-length", str(size)),
            ("x-goog-hash", f"crc32c={crc},md5={md5}"),
        ]:
            self.send_header(name, value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        for key, value in found.fields.get("metadata", {}).items():
            self.send_header(f"x-goog-meta-{key}", value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with open(found.content.path, "rb") as file:
            file.seek(first)
            left = last - first + 1
            while left:
                data = file.read(min(CHUNK, left))
                left -= len(data)
                self.wfile.write(data)

    def range_in(self, wanted, size):
        first, last = wanted.groups()
        if not first:
            first, last = max(0, size - int(last)), size - 1
        else:
            first, last = int(first), min(int(last), size - 1) if last else size - 1
        if first >= size:
            raise Refusal("InvalidRange")
        return first, last

    # --- XML API ---

    def route_xml(self):
        bucket, _, name = self.raw_path.lstrip("/").partition("/")
        bucket, name = urllib.parse.unquote(bucket), urllib.parse.unquote(name)
        if not name:
            return self.xml_bucket(bucket)
        upload = self.query.get("uploadId")
        if self.command in ("GET", "HEAD"):
            return self.send_content(object_of(bucket, name))
        if self.command == "DELETE" and upload:
            return self.abort(upload)
        if self.command == "DELETE":
            delete(bucket, name)
            return self.answer(204)
        if self.command == "PUT" and upload:
            return self.put_part(upload, int(self.query["partNumber"]))
        if self.command == "PUT":
            return self.put_object(bucket, name)
        if self.command == "POST" and "uploads" in self.query:
            return self.initiate(bucket, name)
        if self.command == "POST" and upload:
            return self.complete(upload)
        raise Refusal("NotImplemented")

    def xml_bucket(self, bucket):
        if self.command == "PUT":
            if not self.headers.get("x-goog-project-id"):
                raise Refusal("InvalidArgument")
            with LOCK:
                if bucket in BUCKETS:
                    raise Refusal("BucketAlreadyOwnedByYou")
                BUCKETS[bucket] = {}
            return self.answer(200)
        if self.command != "GET" or self.query.get("list-type") != "2":
            raise Refusal("NotImplemented")
        limit = min(int(self.query.get("max-keys", 1000)), 1000)
        token = self.query.get("continuation-token")
        after = base64.b64decode(token).decode() if token else self.query.get("start-after")
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        found, next_after = page(bucket, prefix, delimiter, after, limit)
        lines = []
        for kind, name in found:
            if kind == "prefix":
                lines.append(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>")
                continue
            it = BUCKETS[bucket].get(name)
            if it:
                lines.append(
                    f"<Contents><Key>{escape(name)}</Key><LastModified>{it.timestamp()}"
                    f"</LastModified><ETag>{escape(it.etag)}</ETag><Size>{it.content.size}</Size>"
                    "</Contents>")
        if next_after:
            token = base64.b64encode(next_after.encode()).decode()
            lines.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
        truncated = "true" if next_after else "false"
        self.answer(200, "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>"
                    f"<IsTruncated>{truncated}</IsTruncated>{''.join(lines)}</ListBucketResult>")

    def fields_in_headers(self):
        metadata = {}
        for name, value in self.headers.items():
            if name.lower().startswith("x-goog-meta-"):
                metadata[name[len("x-goog-meta-"):].lower()] = value
        kind = self.headers.get("Content-Type", "application/octet-stream")
        fields = {"contentType": kind, "metadata": metadata}
        key = self.headers.get("x-goog-encryption-kms-key-name")
        return {**fields, "kmsKeyName": key} if key else fields

    def put_object(self, bucket, name):
        objects_of(bucket)
        generation = self.headers.get("x-goog-if-generation-match")
        content = self.receive(Content()).end()
        made = store(bucket, name, content, self.fields_in_headers(), generation)
        self.answer(200, headers=self.headers_of(made))

    def headers_of(self, made):
        crc, md5 = made.content.hashes()
        return [("ETag", made.etag), ("x-goog-generation", str(made.generation)),
                ("x-goog-hash", f"crc32c={crc}"), ("x-goog-hash", f"md5={md5}")]

    def initiate(self, bucket, name):
        objects_of(bucket)
        upload = uuid.uuid4().hex
        UPLOADS[upload] = Upload(bucket, name, self.fields_in_headers())
        self.answer(200, "<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult "
                    f"xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>{bucket}</Bucket>"
                    f"<Key>{escape(name)}</Key><UploadId>{upload}</UploadId>"
                    "</InitiateMultipartUploadResult>")

    def put_part(self, upload, number):
        if upload not in UPLOADS:
            raise Refusal("NoSuchUpload")
        if not 1 <= number <= 10_000:
            raise Refusal("InvalidArgument")
        content = self.receive(Content()).end()
        with LOCK:
            parts = UPLOADS[upload].parts
            if number in parts:
                os.unlink(parts[number].path)
            parts[number] = content
        crc, md5 = content.hashes()
        etag = f'"{content.md5.hexdigest()}"'
        hashes = [("x-goog-hash", f"crc32c={crc},md5={md5}")]
        self.answer(200, headers=[("ETag", etag), *hashes])

    def complete(self, upload):
        text = self.body().decode()
        with LOCK:
            if upload not in UPLOADS:
                raise Refusal("NoSuchUpload")
            it = UPLOADS[upload]
            listed = re.findall(r"<Part>(.*?)</Part>", text, re.S)
            numbers = [int(re.search(r"<PartNumber>(\d+)<", part)[1]) for part in listed]
            for number, part in zip(numbers, listed):
                kept = it.parts.get(number)
                if not kept or kept.md5.hexdigest() not in part:
                    raise Refusal("InvalidPart")
            if not numbers or numbers != sorted(set(numbers)):
                raise Refusal("InvalidPart")
            if any(it.parts[number].size < SMALLEST_PART for number in numbers[:-1]):
                raise Refusal("EntityTooSmall")
            del UPLOADS[upload]
        for number in numbers:
            with open(it.parts[number].path, "rb") as file:
                for data in iter(lambda: file.read(CHUNK), b""):
                    it.content.add(data)
        made = store(it.bucket, it.name, it.content.end(), it.fields)
        for part in it.parts.values():
            os.unlink(part.path)
        self.answer(200, "<?xml version='1.0' encoding='UTF-8'?><CompleteMultipartUploadResult>"
                    f"<Bucket>{it.bucket}</Bucket><Key>{escape(it.name)}</Key>"
                    f"<ETag>{escape(made.etag)}</ETag></CompleteMultipartUploadResult>",
                    headers=self.headers_of(made))

    def abort(self, upload):
        it = UPLOADS.pop(upload, None)
        if not it:
            raise Refusal("NoSuchUpload")
        for part in [it.content.end(), *it.parts.values()]:
            os.unlink(part.path)
        self.answer(204)

    # --- JSON API ---

    def route_json(self):
        words = self.raw_path.strip("/").split("/")
        if words[0] == "batch":
            return self.batch()
        uploading = words[0] == "upload"
        if words[0] in ("upload", "download"):
            words = words[1:]
        words = [urllib.parse.unquote(word) for word in words[2:]]
        if uploading and len(words) == 3:
            return self.json_upload(words[1])
        if words[0] == "b" and len(words) <= 2:
            return self.json_bucket(words[1:])
        if words[2:] == ["o"] and self.command == "GET":
            return self.json_list(words[1])
        if len(words) == 4:
            return self.json_object(words[1], words[3])
        raise Refusal("NotImplemented")

    def json_bucket(self, words):
        if words and self.command == "GET":
            objects_of(words[0])
            return self.answer_json({"kind": "storage#bucket", "name": words[0]})
        if not words and self.command == "POST":
            name = json.loads(self.body())["name"]
            with LOCK:
                if name in BUCKETS:
                    raise Refusal("BucketAlreadyOwnedByYou")
                BUCKETS[name] = {}
            return self.answer_json({"kind": "storage#bucket", "name": name})
        if not words and self.command == "GET":
            return self.answer_json({"items": [{"name": name} for name in BUCKETS]})
        raise Refusal("NotImplemented")

    def json_list(self, bucket):
        limit = min(int(self.query.get("maxResults", 1000)), 1000)
        token = self.query.get("pageToken")
        after = base64.b64decode(token).decode() if token else None
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        found, next_after = page(bucket, prefix, delimiter, after, limit)
        objects = objects_of(bucket)
        document = {
            "items": [objects[name].as_json(bucket, name) for kind, name in found
                      if kind == "object" and name in objects],
            "prefixes": [name for kind, name in found if kind == "prefix"],
        }
        if next_after:
            document["nextPageToken"] = base64.b64encode(next_after.encode()).decode()
        self.answer_json(document)

    def json_object(self, bucket, name):
        found = object_of(bucket, name)
        if self.command == "GET" and self.query.get("alt") == "media":
            return self.send_content(found)
        if self.command == "DELETE":
            delete(bucket, name)
            return self.answer(204)
        if self.command in ("PATCH", "PUT"):
            found.fields.update(json.loads(self.body()))
        return self.answer_json(found.as_json(bucket, name))

    def json_upload(self, bucket):
        objects_of(bucket)
        generation = self.query.get("ifGenerationMatch")
        kind = self.query.get("uploadType")
        session = self.query.get("upload_id")
        if session:
            return self.resume(session)
        if kind == "media":
            fields, name = {"contentType": self.headers.get("Content-Type")}, self.query["name"]
            content = self.receive(Content()).end()
        elif kind == "multipart":
            fields, data = self.related()
            name, content = fields.pop("name"), Content()
            content.add(data)
            content.end()
        elif kind == "resumable":
            fields = json.loads(self.body() or b"{}")
            name = fields.pop("name", None) or self.query["name"]
            fields["contentType"] = self.headers.get("X-Upload-Content-Type")
            session = uuid.uuid4().hex
            fields.update({"kmsKeyName": self.query["kmsKeyName"]}
                          if "kmsKeyName" in self.query else {})
            SESSIONS[session] = Upload(bucket, name, fields, generation)
            host = self.headers["Host"]
            place = f"http://{host}{self.raw_path}?uploadType=resumable&upload_id={session}"
            return self.answer(200, headers=[("Location", place)])
        else:
            raise Refusal("NotImplemented")
        if "kmsKeyName" in self.query:
            fields["kmsKeyName"] = self.query["kmsKeyName"]
        made = store(bucket, name, content, fields, generation)
        self.answer_json(made.as_json(bucket, name))

    def related(self):
        head = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n"
        boundary = email.message_from_bytes(head).get_boundary().encode()
        pieces = self.body().split(b"--" + boundary)
        _, document = pieces[1].split(b"\r\n\r\n", 1)
        media_head, data = (b"--" + boundary).join(pieces[2:-1]).split(b"\r\n\r\n", 1)
        fields = json.loads(document)
        kind = re.search(rb"(?i)content-type: *(\S+)", media_head)
        fields.setdefault("contentType", kind[1].decode() if kind else None)
        return fields, data[:-2]

    def resume(self, session):
        if session not in SESSIONS:
            raise Refusal("NoSuchUpload")
        it = SESSIONS[session]
        wanted = re.fullmatch(r"bytes (\*|(\d+)-(\d+))/(\*|\d+)", self.headers["Content-Range"])
        if wanted[2] and int(wanted[2]) != it.content.size:
            raise Refusal("InvalidArgument")
        self.receive(it.content)
        if wanted[4] == "*" or it.content.size < int(wanted[4]):
            size = it.content.size
            headers = [("Range", f"bytes=0-{size - 1}")] if size else []
            return self.answer(308, headers=headers)
        del SESSIONS[session]
        made = store(it.bucket, it.name, it.content.end(), it.fields, it.generation)
        self.answer_json(made.as_json(it.bucket, it.name))

    def batch(self):
        head = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n"
        parts = email.message_from_bytes(head + self.body()).get_payload()
        answers = []
        for part in parts:
            method, target, _ = part.get_payload().split("\n")[0].split(" ")
            path = urllib.parse.urlsplit(target).path.strip("/").split("/")
            words = [urllib.parse.unquote(word) for word in path]
            status = "204 No Content"
            try:
                if method != "DELETE" or len(words) != 6:
                    raise Refusal("NotImplemented")
                delete(words[3], words[5])
            except Refusal as refusal:
                status = f"{MESSAGES[str(refusal)][0]} Refused"
            answers.append("--end\r\nContent-Type: application/http\r\n\r\n"
                           f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n\r\n")
        self.answer(200, "".join(answers) + "--end--\r\n", "multipart/mixed; boundary=end")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        # A client that went away is no fault of the emulator.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            traceback.print_exc()


shutil.rmtree(FOLDER, ignore_errors=True)
os.makedirs(FOLDER)
Server(("127.0.0.1", PORT), Handler).serve_forever()
