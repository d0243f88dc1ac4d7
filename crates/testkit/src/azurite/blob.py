"""What tests ask of a container on Azure, through Microsoft's client."""
import datetime
import os

from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

string = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
service = BlobServiceClient.from_connection_string(string)


def create(container):
    service.create_container(container)


def keys(container):
    return sorted(service.get_container_client(container).list_blob_names())


def put(container, key, body):
    service.get_blob_client(container, key).upload_blob(body, overwrite=True)


def tags(container, key):
    found = service.get_blob_client(container, key).get_blob_tags()
    return [f"{key}={value}" for key, value in sorted(found.items())]


def blocks(container, key):
    committed, _ = service.get_blob_client(container, key).get_block_list("all")
    return [block.size for block in committed]


def sas(container, permissions, seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return [generate_container_sas(
        service.account_name, container, account_key=service.credential.account_key,
        permission=ContainerSasPermissions.from_string(permissions),
        start=now - datetime.timedelta(days=1),
        expiry=now + datetime.timedelta(seconds=int(seconds)))]


answer_questions({
    operation.__name__: operation for operation in (create, keys, put, tags, blocks, sas)
})
