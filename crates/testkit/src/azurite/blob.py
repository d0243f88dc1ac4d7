"""One operation on a container: blob.py CONTAINER create|keys|put KEY|tags KEY|blocks KEY|sas P S.
"""
import datetime
import os
import sys

from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

name, operation, *rest = sys.argv[1:]
string = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
service = BlobServiceClient.from_connection_string(string)
container = service.get_container_client(name)
if operation == "create":
    container.create_container()
elif operation == "keys":
    for key in sorted(container.list_blob_names()):
        print(key)
elif operation == "put":
    container.upload_blob(rest[0], sys.stdin.buffer.read(), overwrite=True)
elif operation == "tags":
    for key, value in sorted(container.get_blob_client(rest[0]).get_blob_tags().items()):
        print(f"{key}={value}")
elif operation == "blocks":
    committed, _ = container.get_blob_client(rest[0]).get_block_list("all")
    for block in committed:
        print(block.size)
elif operation == "sas":
    now = datetime.datetime.now(datetime.timezone.utc)
    print(generate_container_sas(
        service.account_name, name, account_key=service.credential.account_key,
        permission=ContainerSasPermissions.from_string(rest[0]),
        start=now - datetime.timedelta(days=1),
        expiry=now + datetime.timedelta(seconds=int(rest[1]))))
else:
    sys.exit(f"unknown operation {operation}")
