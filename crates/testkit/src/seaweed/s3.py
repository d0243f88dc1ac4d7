"""One operation on a bucket: s3.py BUCKET OPERATION, where OPERATION is

create|keys|uploads|put KEY|fill|get KEY FILE|delete KEY.
"""
import concurrent.futures
import sys

import boto3
import botocore.config

bucket, operation, *rest = sys.argv[1:]
style = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
s3 = boto3.client("s3", config=style)
if operation == "create":
    s3.create_bucket(Bucket=bucket)
elif operation == "keys":
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            print(item["Key"])
elif operation == "uploads":
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        print(upload["UploadId"])
elif operation == "put":
    s3.put_object(Bucket=bucket, Key=rest[0], Body=sys.stdin.buffer.read())
elif operation == "fill":
    words = sys.stdin.read().split("\0")
    pairs = list(zip(words[0::2], words[1::2]))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        put = lambda pair: s3.put_object(Bucket=bucket, Key=pair[0], Body=pair[1].encode())
        list(pool.map(put, pairs))
elif operation == "get":
    s3.download_file(bucket, rest[0], rest[1])
elif operation == "delete":
    s3.delete_object(Bucket=bucket, Key=rest[0])
else:
    sys.exit(f"unknown operation {operation}")
