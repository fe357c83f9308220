//! What the specification asks of every server, whatever its handler does.

use std::borrow::Cow;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::*,
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use serde_json::Value;

/// The `_meta` key under which a result names the server that made it.
pub(super) const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// A decorator that makes any handler keep two rules of the specification: every result says which
/// server made it, and a method whose capability was not declared does not exist (-32601).
#[derive(Debug, Clone)]
pub struct Strict<H> {
    handler: H,
    capabilities: ServerCapabilities,
    server_info: Value,
}

impl<H: ServerHandler> Strict<H> {
    /// Wraps `handler`, whose declared capabilities and name are read once, here.
    ///
    /// # Panics
    ///
    /// Never: a server's name and version are always JSON.
    #[must_use]
    pub fn new(handler: H) -> Self {
        let info = handler.get_info();
        Self {
            capabilities: info.capabilities,
            server_info: serde_json::to_value(info.server_info)
                .expect("a server's name and version are JSON"),
            handler,
        }
    }

    /// The handler inside.
    pub(super) fn inner(&self) -> &H {
        &self.handler
    }

    /// The server's name, as every result carries it.
    pub(super) fn server_info(&self) -> &Value {
        &self.server_info
    }

    pub(super) fn stamped<R: Stamp>(&self, mut result: R) -> R {
        result.stamp(&self.server_info);
        result
    }
}

/// A result that can carry the server's name.
pub(super) trait Stamp {
    fn stamp(&mut self, server_info: &Value);
}

impl Stamp for Option<MetaObject> {
    fn stamp(&mut self, server_info: &Value) {
        self.get_or_insert_default()
            .entry(SERVER_INFO_KEY)
            .or_insert_with(|| server_info.clone());
    }
}

impl Stamp for CustomResult {
    fn stamp(&mut self, server_info: &Value) {
        let Value::Object(result) = &mut self.0 else {
            return;
        };
        let meta = result
            .entry("_meta")
            .or_insert_with(|| Value::Object(JsonObject::new()));
        if let Value::Object(meta) = meta {
            meta.entry(SERVER_INFO_KEY)
                .or_insert_with(|| server_info.clone());
        }
    }
}

macro_rules! stamp_meta {
    ($($result:ty),+ $(,)?) => {$(
        impl Stamp for $result {
            fn stamp(&mut self, server_info: &Value) {
                self.meta.stamp(server_info);
            }
        }
    )+};
}

stamp_meta!(
    CallToolResult,
    CompleteResult,
    CreateTaskResult,
    DiscoverResult,
    GetPromptResult,
    GetSkillResult,
    GetTaskResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourceTemplatesResult,
    ListResourcesResult,
    ListSkillsResult,
    ListToolsResult,
    ReadResourceResult,
);

macro_rules! stamp_either {
    ($($response:ty: $($variant:ident)|+;)+) => {$(
        impl Stamp for $response {
            fn stamp(&mut self, server_info: &Value) {
                match self {
                    $(Self::$variant(result) => result.stamp(server_info),)+
                    other => tracing::error!(?other, "a result of a new kind went out unnamed"),
                }
            }
        }
    )+};
}

stamp_either!(
    CallToolResponse: Complete | InputRequired | Task;
    GetPromptResponse: Complete | InputRequired;
    ReadResourceResponse: Complete | InputRequired;
);

/// One line per method: hand it on, refuse it first where its capability is missing, and stamp
/// its result.
macro_rules! methods {
    ($(
        $(#[$attribute:meta])*
        $name:ident($params:ty) -> $result:ty, $method:ty, $declared:expr;
    )+) => {$(
        $(#[$attribute])*
        async fn $name(
            &self,
            params: $params,
            context: RequestContext<RoleServer>,
        ) -> Result<$result, ErrorData> {
            let declared: fn(&ServerCapabilities) -> bool = $declared;
            if !declared(&self.capabilities) {
                return Err(no_such_method(<$method>::VALUE));
            }
            let result = self.handler.$name(params, context).await?;
            Ok(self.stamped(result))
        }
    )+};
}

/// Results without contents have no `_meta` to stamp.
impl Stamp for () {
    fn stamp(&mut self, _server_info: &Value) {}
}

type Page = Option<PaginatedRequestParams>;

impl<H: ServerHandler> ServerHandler for Strict<H> {
    methods! {
        complete(CompleteRequestParams) -> CompleteResult,
            CompleteRequestMethod, |c| c.completions.is_some();
        get_prompt(GetPromptRequestParams) -> GetPromptResponse,
            GetPromptRequestMethod, |c| c.prompts.is_some();
        list_prompts(Page) -> ListPromptsResult,
            ListPromptsRequestMethod, |c| c.prompts.is_some();
        list_resources(Page) -> ListResourcesResult,
            ListResourcesRequestMethod, |c| c.resources.is_some();
        list_resource_templates(Page) -> ListResourceTemplatesResult,
            ListResourceTemplatesRequestMethod, |c| c.resources.is_some();
        read_resource(ReadResourceRequestParams) -> ReadResourceResponse,
            ReadResourceRequestMethod, |c| c.resources.is_some();
        #[expect(deprecated, reason = "older clients still subscribe this way")]
        subscribe(SubscribeRequestParams) -> (), SubscribeRequestMethod, |c| subscribable(c);
        #[expect(deprecated, reason = "older clients still unsubscribe this way")]
        unsubscribe(UnsubscribeRequestParams) -> (), UnsubscribeRequestMethod, |c| subscribable(c);
        call_tool(CallToolRequestParams) -> CallToolResponse,
            CallToolRequestMethod, |c| c.tools.is_some();
        list_tools(Page) -> ListToolsResult, ListToolsRequestMethod, |c| c.tools.is_some();
        // rmcp itself refuses the methods of undeclared extensions.
        get_task(GetTaskParams) -> GetTaskResult, GetTaskMethod, |_| true;
        update_task(UpdateTaskParams) -> (), UpdateTaskMethod, |_| true;
        cancel_task(CancelTaskParams) -> (), CancelTaskMethod, |_| true;
        list_skills(Page) -> ListSkillsResult, ListSkillsRequestMethod, |_| true;
        get_skill(GetSkillRequestParams) -> GetSkillResult, GetSkillRequestMethod, |_| true;
        read_resource_directory(ReadResourceDirectoryRequestParams) -> ListResourcesResult,
            ReadResourceDirectoryRequestMethod, |_| true;
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        // Names the server in its own field.
        self.handler.initialize(request, context).await
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        let result = self.handler.discover(context).await?;
        Ok(self.stamped(result))
    }

    /// Exists for the older revisions only; rmcp leaves that check to the handler.
    #[expect(deprecated, reason = "older clients still set a level")]
    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if is_modern(&context) || self.capabilities.logging.is_none() {
            return Err(no_such_method(SetLevelRequestMethod::VALUE));
        }
        self.handler.set_level(request, context).await
    }

    async fn ping(&self, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.handler.ping(context).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // A method of the protocol gets here only if its parameters could not be read.
        if let Some(standard) = STANDARD.iter().find(|known| known.method == request.method) {
            let exists = (standard.declared)(&self.capabilities)
                && !(standard.legacy_only && is_modern(&context));
            return Err(match exists {
                true => ErrorData::invalid_params(
                    format!(
                        "the parameters of `{}` are missing or of the wrong type",
                        request.method
                    ),
                    None,
                ),
                false => no_such_method(&request.method),
            });
        }
        let result = self.handler.on_custom_request(request, context).await?;
        Ok(self.stamped(result))
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.handler.accepted_subscription_filter(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.handler.listen(context).await
    }

    fn negotiate_initialize(
        &self,
        request: &InitializeRequestParams,
    ) -> Result<InitializeResult, ErrorData> {
        self.handler.negotiate_initialize(request)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.handler.supported_protocol_versions()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.handler.get_tool(name)
    }

    fn get_info(&self) -> ServerConfig {
        self.handler.get_info()
    }

    async fn on_cancelled(
        &self,
        notification: CancelledNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        self.handler.on_cancelled(notification, context).await;
    }

    async fn on_progress(
        &self,
        notification: ProgressNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        self.handler.on_progress(notification, context).await;
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.handler.on_initialized(context).await;
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.handler.on_roots_list_changed(context).await;
    }

    async fn on_custom_notification(
        &self,
        notification: CustomNotification,
        context: NotificationContext<RoleServer>,
    ) {
        self.handler
            .on_custom_notification(notification, context)
            .await;
    }
}

/// Whether a request of this method is work that needs a place: a call of a tool, by whatever name.
/// The rest of the protocol is answered from memory, and keeps answering when there is no place.
#[must_use]
pub fn is_work(method: &str) -> bool {
    let housekeeping = ["ping", "server/discover"].contains(&method)
        || STANDARD.iter().any(|known| known.method == method);
    method == "tools/call" || !housekeeping
}

/// The error of a method that is unknown, or that was not declared.
pub(super) fn no_such_method(method: &str) -> ErrorData {
    let message = format!("this server has no method `{method}`");
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
}

fn subscribable(capabilities: &ServerCapabilities) -> bool {
    capabilities
        .resources
        .as_ref()
        .is_some_and(|resources| resources.subscribe == Some(true))
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// A method that rmcp knows and hands to the handler as a custom request when it cannot read its
/// parameters.
struct Standard {
    method: &'static str,
    declared: fn(&ServerCapabilities) -> bool,
    /// Gone since revision 2026-07-28.
    legacy_only: bool,
}

const fn standard(method: &'static str, declared: fn(&ServerCapabilities) -> bool) -> Standard {
    Standard {
        method,
        declared,
        legacy_only: false,
    }
}

const fn legacy(method: &'static str, declared: fn(&ServerCapabilities) -> bool) -> Standard {
    Standard {
        method,
        declared,
        legacy_only: true,
    }
}

const STANDARD: &[Standard] = &[
    standard("completion/complete", |c| c.completions.is_some()),
    legacy("initialize", |_| true),
    legacy("logging/setLevel", |c| c.logging.is_some()),
    standard("prompts/get", |c| c.prompts.is_some()),
    standard("prompts/list", |c| c.prompts.is_some()),
    standard("resources/list", |c| c.resources.is_some()),
    standard("resources/read", |c| c.resources.is_some()),
    legacy("resources/subscribe", subscribable),
    standard("resources/templates/list", |c| c.resources.is_some()),
    legacy("resources/unsubscribe", subscribable),
    standard("subscriptions/listen", |_| true),
    standard("tasks/cancel", ServerCapabilities::supports_tasks),
    standard("tasks/get", ServerCapabilities::supports_tasks),
    standard("tasks/update", ServerCapabilities::supports_tasks),
    standard("tools/call", |c| c.tools.is_some()),
    standard("tools/list", |c| c.tools.is_some()),
];
