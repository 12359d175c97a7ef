//! Files: uploaded first, then named by a post. Only the first post that names a file gets it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State as Shares};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, created, json as reply};
use super::caller::Caller;
use super::ids::{is_id, new_id};
use super::state::{Shared, State};

/// The largest file, the default of `MaxFileSize`.
pub(crate) const LARGEST: usize = 50 * 1024 * 1024;

/// A file and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) info: Info,
    /// Where it was uploaded to; the answer does not say.
    channel_id: String,
    content: Bytes,
}

/// A file as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Info {
    pub(crate) id: String,
    pub(crate) user_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) post_id: String,
    channel_id: String,
    create_at: u64,
    update_at: u64,
    delete_at: u64,
    name: String,
    extension: String,
    size: usize,
    mime_type: &'static str,
    mini_preview: Option<Value>,
    remote_id: String,
}

impl StoredFile {
    pub(crate) fn is_image(&self) -> bool {
        self.info.mime_type.starts_with("image/")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Where {
    channel_id: String,
    filename: String,
}

/// `POST /files`: one file as the body, or several in a form.
pub(crate) async fn upload(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Query(target): Query<Where>,
    request: Request,
) -> Answer {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        let content = Bytes::from_request(request, &()).await.map_err(|_| too_large())?;
        if target.filename.is_empty() {
            return Err(ApiError::bad_body("filename"));
        }
        let mut state = shared.lock();
        let info = state.store_file(&caller, &target.channel_id, &target.filename, content)?;
        return Ok(created(&json!({ "file_infos": [info], "client_ids": null })));
    }
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| ApiError::bad_body("files"))?;
    let (mut channel_id, mut client_ids, mut files) = (target.channel_id, Vec::new(), Vec::new());
    while let Some(field) = form.next_field().await.map_err(|_| ApiError::bad_body("files"))? {
        let name = field.name().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        let content = field.bytes().await.map_err(|_| too_large())?;
        match (name.as_str(), filename) {
            (_, Some(filename)) => files.push((filename, content)),
            ("channel_id", None) => channel_id = String::from_utf8_lossy(&content).into_owned(),
            // The ids have to come before what they are for.
            ("client_ids", None) if !files.is_empty() => return Err(ApiError::bad_body("client_ids")),
            ("client_ids", None) => client_ids.push(String::from_utf8_lossy(&content).into_owned()),
            (_, None) => {}
        }
    }
    if files.is_empty() || (!client_ids.is_empty() && client_ids.len() != files.len()) {
        return Err(ApiError::bad_body("client_ids"));
    }
    let mut state = shared.lock();
    let infos: Result<Vec<_>, _> =
        files.into_iter().map(|(name, content)| state.store_file(&caller, &channel_id, &name, content)).collect();
    Ok(created(&json!({ "file_infos": infos?, "client_ids": client_ids })))
}

/// `GET /files/{file_id}`
pub(crate) async fn content(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let file = state.readable_file(&caller, &id)?;
    let mut response = Response::new(Body::from(file.content.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.info.mime_type));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    let name: String = file.info.name.chars().filter(|c| c.is_ascii_graphic() && !"\"\\%".contains(*c)).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment;filename=\"{name}\"; filename*=UTF-8''{name}")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// `GET /files/{file_id}/info`
pub(crate) async fn info(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(reply(&shared.lock().readable_file(&caller, &id)?.info))
}

/// `GET /posts/{post_id}/files/info`
pub(crate) async fn of_post(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let post = state.readable(&caller, &id)?;
    Ok(reply(&post.file_ids.iter().filter_map(|id| state.files.get(id)).map(|file| &file.info).collect::<Vec<_>>()))
}

fn too_large() -> ApiError {
    ApiError::new(
        axum::http::StatusCode::PAYLOAD_TOO_LARGE,
        "api.file.upload_file.too_large_detailed.app_error",
        "Unable to upload file. File is too large.",
    )
}

impl State {
    fn store_file(&mut self, caller: &Caller, channel_id: &str, name: &str, content: Bytes) -> Result<Info, ApiError> {
        if !is_id(channel_id) {
            return Err(ApiError::bad_body("channel_id"));
        }
        self.must_be_member(caller, channel_id)?;
        if content.len() > LARGEST {
            return Err(too_large());
        }
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
        let info = Info {
            id: new_id(),
            user_id: caller.id.clone(),
            post_id: String::new(),
            channel_id: String::new(),
            create_at: self.now,
            update_at: self.now,
            delete_at: 0,
            name: name.to_owned(),
            size: content.len(),
            mime_type: mime_type(&extension),
            extension,
            mini_preview: None,
            remote_id: String::new(),
        };
        let file = StoredFile { info: info.clone(), channel_id: channel_id.to_owned(), content };
        self.files.insert(info.id.clone(), file);
        Ok(info)
    }

    /// Gives a file to a post; false where it is not the author's, or has one already.
    pub(crate) fn attach_file(&mut self, id: &str, post_id: &str, author: &str) -> bool {
        match self.files.get_mut(id) {
            Some(file) if file.info.post_id.is_empty() && file.info.user_id == author => {
                file.info.post_id = post_id.to_owned();
                true
            }
            _ => false,
        }
    }

    fn readable_file(&self, caller: &Caller, id: &str) -> Result<&StoredFile, ApiError> {
        if !is_id(id) {
            return Err(ApiError::bad_url("file_id"));
        }
        let missing = || ApiError::not_found("app.file_info.get.app_error", "Unable to get the file info.");
        let file = self.files.get(id).ok_or_else(missing)?;
        if file.info.user_id != caller.id {
            self.must_be_member(caller, &file.channel_id)?;
        }
        Ok(file)
    }
}

fn mime_type(extension: &str) -> &'static str {
    match extension {
        "txt" | "log" | "text" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
