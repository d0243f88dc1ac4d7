"""What tests ask of a bucket on S3, through boto3."""
import concurrent.futures
import datetime

import boto3
import botocore.config

# One attempt: a test that spoils a request wants to see what comes of it.
style = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
s3 = boto3.client("s3", config=style)


def create(bucket):
    s3.create_bucket(Bucket=bucket)


def create_with_locks(bucket):
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)


def keys(bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def uploads(bucket):
    found = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [upload["UploadId"] for upload in found]


def put(bucket, key, body=b""):
    s3.put_object(Bucket=bucket, Key=key, Body=body)


def fill(bucket, body):
    """Puts many objects: keys and bodies take turns, each with a zero byte behind it."""
    words = body.decode().split("\0")
    put_pair = lambda pair: put(bucket, pair[0], pair[1].encode())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(put_pair, zip(words[0::2], words[1::2])))


def get(bucket, key, file):
    s3.download_file(bucket, key, file)


def copy(bucket, other):
    """Puts what another bucket has into this one too."""
    for key in keys(other):
        put(bucket, key, s3.get_object(Bucket=other, Key=key)["Body"].read())


def delete(bucket, key):
    s3.delete_object(Bucket=bucket, Key=key)


def tags(bucket, key):
    found = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    return sorted(tag["Key"] + "=" + tag["Value"] for tag in found)


def encryption(bucket, key):
    head = s3.head_object(Bucket=bucket, Key=key)
    return [f"{head.get('ServerSideEncryption')} {head.get('SSEKMSKeyId')}"]


def hold(bucket, key, status):
    s3.put_object_legal_hold(Bucket=bucket, Key=key, LegalHold={"Status": status})


def retain(bucket, key, seconds):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=int(seconds))
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.put_object_retention(Bucket=bucket, Key=key, Retention=retention)


answer_questions({
    operation.__name__: operation
    for operation in (create, create_with_locks, keys, uploads, put, fill, get, copy, delete,
                      tags, encryption, hold, retain)
})
