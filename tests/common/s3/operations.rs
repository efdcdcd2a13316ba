//! The operations of the protocol that the storage knows.

use aws_smithy_types::base64;
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::storage::{About, Claims, Object, Shared, State, receive};

/// Most keys in one answer to a list.
const MOST_KEYS: i32 = 1000;

/// The storage as the protocol sees it; who may do what is checked before.
pub(super) struct Storage(pub(super) Shared);

impl Storage {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn done<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

fn sha256_type(object: &Object) -> Option<ChecksumType> {
    let is_composite = object.sha256.as_ref()?.contains('-');
    let name = if is_composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Some(ChecksumType::from_static(name))
}

/// Returns the digest if the request asks for digests.
fn asked(object: &Object, mode: Option<&ChecksumMode>) -> (Option<String>, Option<ChecksumType>) {
    match mode.map(ChecksumMode::as_str) {
        Some("ENABLED") => (object.sha256.clone(), sha256_type(object)),
        _ => (None, None),
    }
}

#[async_trait::async_trait]
impl S3 for Storage {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let name = request.input.bucket;
        let mut state = self.state();
        if state.buckets.contains_key(&name) {
            let message = "Your previous request to create the named bucket succeeded and you \
                           already own it.";
            return Err(s3_error!(BucketAlreadyOwnedByYou, "{message}"));
        }
        let location = Some(format!("/{name}"));
        state.buckets.insert(name, Default::default());
        done(CreateBucketOutput { location })
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let mut state = self.state();
        state.bucket(&request.input.bucket)?;
        let bucket_region = state.behaviour.region.clone();
        done(HeadBucketOutput { bucket_region, ..Default::default() })
    }

    async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let mut state = self.state();
        let tags = &state.bucket(&request.input.bucket)?.tags;
        if tags.is_empty() {
            return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
        }
        let tag = |(key, value): (&String, &String)| Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        done(GetBucketTaggingOutput { tag_set: tags.iter().map(tag).collect() })
    }

    async fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        let tags = request.input.tagging.tag_set.into_iter();
        let tags = tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
        self.state().bucket(&request.input.bucket)?.tags = tags.collect();
        done(PutBucketTaggingOutput::default())
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let claims = Claims {
            md5: input.content_md5,
            sha256: input.checksum_sha256,
            trailers: request.trailing_headers,
        };
        let about = About { content_type: input.content_type, metadata: input.metadata };
        let with_checksums = self.state().behaviour.checksums;
        let object = receive(input.body, claims, with_checksums, about).await?;
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let output = PutObjectOutput {
            e_tag: Some(object.etag()),
            checksum_sha256: object.sha256.clone(),
            checksum_type: sha256_type(&object),
            ..Default::default()
        };
        let mut state = self.state();
        state.check_write(&input.bucket, &input.key, if_match, if_none_match)?;
        state.bucket(&input.bucket)?.objects.insert(input.key, object);
        done(output)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let mut state = self.state();
        let object = state.object(&input.bucket, &input.key)?;
        object.check_read(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let (checksum_sha256, checksum_type) = asked(object, input.checksum_mode.as_ref());
        done(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(object.size()),
            content_type: object.about.content_type.clone(),
            e_tag: Some(object.etag()),
            last_modified: Some(object.modified()),
            metadata: object.about.metadata.clone(),
            checksum_sha256,
            checksum_type,
            ..Default::default()
        })
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let mut state = self.state();
        let with_ranges = state.behaviour.ranges;
        let object = state.object(&input.bucket, &input.key)?;
        object.check_read(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let size = object.bytes.len();
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_type: object.about.content_type.clone(),
            e_tag: Some(object.etag()),
            last_modified: Some(object.modified()),
            metadata: object.about.metadata.clone(),
            ..Default::default()
        };
        let mut bytes = object.bytes.clone();
        if let Some(range) = input.range.filter(|_| with_ranges) {
            let range = range
                .check(size as u64)
                .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
            let (from, to) = (range.start as usize, range.end as usize);
            bytes = bytes.slice(from..to);
            output.content_range = Some(format!("bytes {from}-{}/{size}", to - 1));
        } else {
            let asked = asked(object, input.checksum_mode.as_ref());
            (output.checksum_sha256, output.checksum_type) = asked;
        }
        output.content_length = i64::try_from(bytes.len()).ok();
        output.body = Some(StreamingBlob::from(Body::from(bytes)));
        done(output)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.state().bucket(&request.input.bucket)?.objects.remove(&request.input.key);
        done(DeleteObjectOutput::default())
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        // The protocol's types do not have it yet.
        let has_condition = request.headers.get("if-none-match").is_some();
        let input = request.input;
        let CopySource::Bucket { bucket: from_bucket, key: from_key, .. } = &input.copy_source
        else {
            return Err(s3_error!(NotImplemented, "Only buckets are copied from"));
        };
        let is_replacing =
            input.metadata_directive.is_some_and(|it| it.as_str() == MetadataDirective::REPLACE);
        let is_onto_itself = **from_bucket == input.bucket && **from_key == input.key;
        if is_onto_itself && !is_replacing {
            let message = "This copy request is illegal because it is trying to copy an object to \
                           itself without changing the object's metadata, storage class, website \
                           redirect location or encryption attributes.";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        let mut state = self.state();
        let source = state.object(from_bucket, from_key)?;
        let if_none_match = input.copy_source_if_none_match.as_ref();
        source.check_read(input.copy_source_if_match.as_ref(), if_none_match)?;
        let about = match is_replacing {
            true => About { content_type: input.content_type, metadata: input.metadata },
            false => source.about.clone(),
        };
        // A copy has the digest of the whole that was asked for, or else that of the source, if any.
        let is_asked = input.checksum_algorithm.is_some_and(|it| it.as_str() == "SHA256");
        let has_digest = is_asked || source.sha256.is_some();
        let bytes = source.bytes.clone();
        let copy = Object::new(bytes, has_digest && state.behaviour.checksums, about);
        let condition =
            (has_condition && state.behaviour.conditions_on_copies).then_some(&ETagCondition::Any);
        state.check_write(&input.bucket, &input.key, None, condition)?;
        let result = CopyObjectResult {
            e_tag: Some(copy.etag()),
            last_modified: Some(copy.modified()),
            checksum_sha256: copy.sha256.clone(),
            checksum_type: sha256_type(&copy),
            ..Default::default()
        };
        state.bucket(&input.bucket)?.objects.insert(input.key, copy);
        done(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "Delimiters are not implemented"));
        }
        let after = match &input.continuation_token {
            Some(token) => {
                let key = base64::decode(token).ok().and_then(|key| String::from_utf8(key).ok());
                let message = "The continuation token provided is incorrect";
                Some(key.ok_or_else(|| s3_error!(InvalidArgument, "{message}"))?)
            }
            None => input.start_after.clone(),
        };
        let most = input.max_keys.unwrap_or(MOST_KEYS).clamp(0, MOST_KEYS);
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut state = self.state();
        let objects = state.bucket(&input.bucket)?.objects.iter();
        let mut found = objects
            .filter(|(key, _)| key.starts_with(&prefix))
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
        let contents = found.by_ref().take(most as usize).map(|(key, object)| s3s::dto::Object {
            key: Some(key.clone()),
            size: Some(object.size()),
            e_tag: Some(object.etag()),
            last_modified: Some(object.modified()),
            ..Default::default()
        });
        let contents: Vec<_> = contents.collect();
        let last = contents.last().and_then(|object| object.key.as_ref());
        let next = last.filter(|_| found.next().is_some()).map(base64::encode);
        done(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            max_keys: Some(most),
            key_count: i32::try_from(contents.len()).ok(),
            is_truncated: Some(next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: next,
            start_after: input.start_after,
            contents: Some(contents),
            ..Default::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let algorithm = input.checksum_algorithm;
        let is_sha256 = algorithm.as_ref().is_some_and(|it| it.as_str() == "SHA256");
        let about = About { content_type: input.content_type, metadata: input.metadata };
        let id = self.state().begin(&input.bucket, input.key.clone(), is_sha256, about)?;
        done(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            checksum_algorithm: algorithm,
            upload_id: Some(id),
            ..Default::default()
        })
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let claims = Claims {
            md5: input.content_md5,
            sha256: input.checksum_sha256,
            trailers: request.trailing_headers,
        };
        if !(1..=10_000).contains(&input.part_number) {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            return Err(s3_error!(InvalidArgument, "{message}"));
        }
        let with_checksums = self.state().behaviour.checksums;
        let part = receive(input.body, claims, with_checksums, About::default()).await?;
        let mut state = self.state();
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        if upload.has_checksums && part.sha256.is_none() {
            let message = "Checksum Type mismatch occurred, expected checksum Type: sha256, \
                           actual checksum Type: null";
            return Err(s3_error!(InvalidRequest, "{message}"));
        }
        let (e_tag, checksum_sha256) = (Some(part.etag()), part.sha256.clone());
        upload.parts.insert(input.part_number, part);
        done(UploadPartOutput { e_tag, checksum_sha256, ..Default::default() })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let (bucket, key, id) = (&input.bucket, &input.key, &input.upload_id);
        let parts = input.multipart_upload.and_then(|named| named.parts).unwrap_or_default();
        let mut state = self.state();
        state.upload(bucket, key, id)?;
        let if_none_match = input.if_none_match.as_ref();
        state.check_write(bucket, key, input.if_match.as_ref(), if_none_match)?;
        let claimed = input.checksum_sha256.as_deref();
        let object = state.complete(bucket, key, id, &parts, claimed)?;
        done(CompleteMultipartUploadOutput {
            location: Some(format!("/{bucket}/{key}")),
            e_tag: Some(object.etag()),
            checksum_sha256: object.sha256.clone(),
            checksum_type: sha256_type(&object),
            bucket: Some(input.bucket),
            key: Some(input.key),
            ..Default::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.state().abort(&input.bucket, &input.key, &input.upload_id)?;
        done(AbortMultipartUploadOutput::default())
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let mut state = self.state();
        let most_parts = state.behaviour.parts_on_page;
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        let most = input.max_parts.unwrap_or(most_parts).clamp(0, most_parts);
        let mut found = upload.parts.range(input.part_number_marker.unwrap_or(0) + 1..);
        let parts = found.by_ref().take(most as usize).map(|(number, part)| Part {
            part_number: Some(*number),
            size: Some(part.size()),
            e_tag: Some(part.etag()),
            checksum_sha256: part.sha256.clone(),
            last_modified: Some(part.modified()),
            ..Default::default()
        });
        let parts: Vec<_> = parts.collect();
        done(ListPartsOutput {
            is_truncated: Some(found.next().is_some()),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            max_parts: Some(most),
            parts: Some(parts),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            ..Default::default()
        })
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut state = self.state();
        let uploads = state.bucket(&input.bucket)?.uploads.iter();
        let uploads = uploads.filter(|(_, upload)| upload.key.starts_with(&prefix));
        let uploads = uploads.map(|(id, upload)| MultipartUpload {
            key: Some(upload.key.clone()),
            upload_id: Some(id.clone()),
            initiated: Some(upload.begun.into()),
            ..Default::default()
        });
        done(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(false),
            prefix: input.prefix,
            bucket: Some(input.bucket),
            ..Default::default()
        })
    }
}
