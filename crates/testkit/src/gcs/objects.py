"""One operation on a bucket, by Google's own client: objects.py BUCKET create|keys|put KEY|
metadata KEY|size KEY|key KEY|check. `check` puts the emulator itself to the test."""
import io
import os
import sys

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager

name, operation, *rest = sys.argv[1:]
client = storage.Client(project="tests", credentials=AnonymousCredentials())
bucket = client.bucket(name)


def check():
    """Uploads of every kind, ranges, pages, preconditions, batches: as Google's client has them."""
    small, large = b"small\r\n--x", os.urandom(11 * 1024 * 1024)
    for key, data in [("small/a b+\u00fc", small), ("large/resumable", large)]:
        blob = bucket.blob(key, chunk_size=5 * 256 * 1024 if data is large else None)
        blob.metadata = {"cost": "a/b=c"}
        blob.upload_from_file(io.BytesIO(data), rewind=True)
        again = bucket.get_blob(key)
        assert again.metadata == {"cost": "a/b=c"} and again.size == len(data), again.metadata
        assert again.download_as_bytes() == data
        assert again.download_as_bytes(start=2, end=5) == data[2:6]
    with open("large.bin", "wb") as file:
        file.write(large)
    blob = bucket.blob("large/parts")
    transfer_manager.upload_chunks_concurrently(
        "large.bin", blob, chunk_size=5 * 1024 * 1024, worker_type=transfer_manager.THREAD)
    assert bucket.get_blob("large/parts").download_as_bytes() == large
    try:
        bucket.blob("large/parts").upload_from_string("x", if_generation_match=0)
        sys.exit("a precondition was ignored")
    except PreconditionFailed:
        pass
    names = [blob.name for blob in client.list_blobs(name, prefix="large/", page_size=1)]
    assert names == ["large/parts", "large/resumable"], names
    listing = client.list_blobs(name, delimiter="/")
    assert not list(listing) and listing.prefixes == {"small/", "large/"}, listing.prefixes
    with client.batch():
        for key in names:
            bucket.blob(key).delete()
    assert bucket.get_blob("large/parts") is None
    try:
        bucket.blob("large/parts").delete()
        sys.exit("what is not there was deleted")
    except NotFound:
        pass


if operation == "create":
    client.create_bucket(name)
elif operation == "keys":
    for blob in client.list_blobs(name):
        print(blob.name)
elif operation == "put":
    bucket.blob(rest[0]).upload_from_string(sys.stdin.buffer.read())
elif operation == "metadata":
    for key, value in sorted((bucket.get_blob(rest[0]).metadata or {}).items()):
        print(f"{key}={value}")
elif operation == "kms-key":
    print(bucket.get_blob(rest[0]).kms_key_name)
elif operation == "check":
    check()
else:
    sys.exit(f"unknown operation {operation}")
