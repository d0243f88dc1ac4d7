"""What tests ask of a bucket on Google Cloud Storage, through Google's client. `check` puts the
emulator itself to the test."""
import io
import os

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager

client = storage.Client(project="tests", credentials=AnonymousCredentials())


def create(name):
    client.create_bucket(name)


def keys(name):
    return [blob.name for blob in client.list_blobs(name)]


def put(name, key, body):
    client.bucket(name).blob(key).upload_from_string(body)


def metadata(name, key):
    found = client.bucket(name).get_blob(key).metadata or {}
    return [f"{key}={value}" for key, value in sorted(found.items())]


def kms_key(name, key):
    return [client.bucket(name).get_blob(key).kms_key_name]


def check(name, folder):
    """Uploads of every kind, ranges, pages, preconditions, batches: as Google's client has them."""
    bucket, file_name = client.bucket(name), os.path.join(folder, "large.bin")
    small, large = b"small\r\n--x", os.urandom(11 * 1024 * 1024)
    for key, data in [("small/a b+\u00fc", small), ("large/resumable", large)]:
        blob = bucket.blob(key, chunk_size=5 * 256 * 1024 if data is large else None)
        blob.metadata = {"cost": "a/b=c"}
        blob.upload_from_file(io.BytesIO(data), rewind=True)
        again = bucket.get_blob(key)
        assert again.metadata == {"cost": "a/b=c"} and again.size == len(data), again.metadata
        assert again.download_as_bytes() == data
        assert again.download_as_bytes(start=2, end=5) == data[2:6]
    with open(file_name, "wb") as file:
        file.write(large)
    blob = bucket.blob("large/parts")
    transfer_manager.upload_chunks_concurrently(
        file_name, blob, chunk_size=5 * 1024 * 1024, worker_type=transfer_manager.THREAD)
    assert bucket.get_blob("large/parts").download_as_bytes() == large
    try:
        bucket.blob("large/parts").upload_from_string("x", if_generation_match=0)
        raise AssertionError("a precondition was ignored")
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
        raise AssertionError("what is not there was deleted")
    except NotFound:
        pass


answer_questions({
    operation.__name__: operation for operation in (create, keys, put, metadata, kms_key, check)
})
