"""More: BUCKET tags KEY|head KEY|create-with-locks|hold KEY ON/OFF|retain KEY SECONDS."""
import datetime
import sys

import boto3
import botocore.config

bucket, operation, *rest = sys.argv[1:]
style = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3})
s3 = boto3.client("s3", config=style)
if operation == "tags":
    found = s3.get_object_tagging(Bucket=bucket, Key=rest[0])["TagSet"]
    print("&".join(sorted(tag["Key"] + "=" + tag["Value"] for tag in found)))
elif operation == "head":
    head = s3.head_object(Bucket=bucket, Key=rest[0])
    print(head.get("ServerSideEncryption"), head.get("SSEKMSKeyId"))
elif operation == "create-with-locks":
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
elif operation == "hold":
    s3.put_object_legal_hold(Bucket=bucket, Key=rest[0], LegalHold={"Status": rest[1]})
elif operation == "retain":
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=int(rest[1]))
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.put_object_retention(Bucket=bucket, Key=rest[0], Retention=retention)
else:
    sys.exit(f"unknown operation {operation}")
