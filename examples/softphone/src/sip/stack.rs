//! The endpoint: where we listen, how we are reached, and the registration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host_std::session::Certificate;
use rsipstack::EndpointBuilder;
use rsipstack::dialog::DialogId;
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog::{DialogStateReceiver, DialogStateSender};
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::dialog::invitation::{InviteAsyncResult, InviteOption};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::dialog::registration::{Registration, backoff_interval, refresh_interval};
use rsipstack::sip::typed::{Contact, Route};
use rsipstack::sip::uri::ParamsExt;
use rsipstack::sip::{Auth, Header, HostWithPort, Method, Param, Scheme, StatusCodeKind, Transport, Uri};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::Endpoint;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{
    SipAddr, SipConnection, TcpListenerConnection, TlsConfig, TlsListenerConnection, TransportLayer,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Account, Carrier, Config, Sip, sip_uri};

/// So long the registrar is waited for when we leave.
const LEAVING: Duration = Duration::from_secs(2);
const ALLOWED: [Method; 9] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::PRack,
    Method::Update,
    Method::Refer,
    Method::Notify,
];

/// What a registration came to.
#[derive(Debug)]
pub(crate) enum Registered {
    /// For so many seconds.
    Yes(u32),
    /// Why not, in words.
    No(String),
    /// We have left.
    Gone,
}

/// What an INVITE of ours carries.
pub(crate) struct Invite {
    pub(crate) to: Uri,
    pub(crate) call_id: String,
    pub(crate) offer: String,
    pub(crate) headers: Vec<Header>,
}

/// Signalling as the phone has it.
pub(crate) struct Stack {
    endpoint: Endpoint,
    layer: Arc<DialogLayer>,
    states: DialogStateSender,
    contact: Uri,
    account: Uri,
    name: Option<String>,
    carrier: Carrier,
    proxy: Option<Uri>,
    credential: Option<Credential>,
    /// Ends the registration.
    leave: watch::Sender<bool>,
    registration: Option<JoinHandle<()>>,
}

/// What comes in.
pub(crate) struct Incoming {
    pub(crate) transactions: TransactionReceiver,
    pub(crate) states: DialogStateReceiver,
    pub(crate) registered: mpsc::Receiver<Registered>,
}

impl Stack {
    /// Begins to listen, and to register where the config says so.
    ///
    /// # Errors
    /// What is wrong with addresses, certificates and sockets, in words.
    pub(crate) async fn start(config: &Config) -> Result<(Self, Incoming), String> {
        let Config { account, sip, .. } = config;
        let uri = sip_uri(&account.uri)?;
        let transport = TransportLayer::new(CancellationToken::new());
        transport.add_transport(listen(sip, &transport).await?);
        let agent = concat!("media-core-softphone/", env!("CARGO_PKG_VERSION"));
        let endpoint = EndpointBuilder::new()
            .with_user_agent(agent)
            .with_transport_layer(transport)
            .with_allows(ALLOWED.into())
            .build();
        let transactions = endpoint.incoming_transactions().map_err(|error| error.to_string())?;
        let serving = endpoint.inner.clone();
        tokio::spawn(async move {
            if let Err(error) = serving.serve().await {
                tracing::error!(%error, "signalling has ended");
            }
        });
        let layer = Arc::new(DialogLayer::new(endpoint.inner.clone()));
        let (states, incoming_states) = layer.new_dialog_state_channel();
        let contact = contact(&uri, sip);
        let credential = account.password.as_ref().map(|password| Credential {
            username: uri.user().unwrap_or_default().into(),
            password: password.reveal().into(),
            realm: None,
            auth_username: account.user.clone(),
        });
        let proxy = account.proxy.map(|address| Uri {
            params: carried(sip.transport).into_iter().chain([Param::Lr]).collect(),
            ..Uri::from(HostWithPort::from(address))
        });
        let (leave, left) = watch::channel(false);
        let (tell, registered) = mpsc::channel(4);
        let mut stack = Self {
            endpoint,
            layer,
            states,
            contact,
            account: uri,
            name: account.name.clone(),
            carrier: sip.transport,
            proxy,
            credential,
            leave,
            registration: None,
        };
        stack.registration = stack.register(account, left, tell)?;
        Ok((stack, Incoming { transactions, states: incoming_states, registered }))
    }

    /// Where we are reached.
    pub(crate) fn contact(&self) -> &Uri {
        &self.contact
    }

    /// Who we are.
    pub(crate) fn account(&self) -> &Uri {
        &self.account
    }

    pub(crate) fn layer(&self) -> &DialogLayer {
        &self.layer
    }

    /// Sends an INVITE; what it comes to is told by the handle.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn invite(&self, invite: Invite) -> Result<(InviteDialog, JoinHandle<InviteAsyncResult>), String> {
        let Invite { mut to, call_id, offer, headers } = invite;
        let named = to.scheme == Some(Scheme::Sips) || to.transport().is_some();
        if !named {
            to.params.extend(carried(self.carrier));
        }
        let option = InviteOption {
            caller_display_name: self.name.clone(),
            caller: self.account.clone(),
            callee: to,
            offer: Some(offer.into_bytes()),
            contact: self.contact.clone(),
            credential: self.credential.clone(),
            headers: Some(headers),
            support_prack: true,
            call_id: Some(call_id),
            route_set: self.proxy.iter().map(|uri| Route::from(uri.clone())).collect(),
            ..InviteOption::default()
        };
        self.layer.do_invite_async(option, self.states.clone()).map_err(|error| error.to_string())
    }

    /// Whether there is a way for an INVITE of ours: a name that is known, a connection that can be had.
    pub(crate) fn reach(&self, dialog: &InviteDialog) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let (endpoint, request) = (self.endpoint.inner.clone(), dialog.initial_request());
        async move {
            let mut target = SipAddr::try_from(request.destination()).map_err(|error| error.to_string())?;
            if target.r#type.is_none() && request.uri.scheme == Some(Scheme::Sips) {
                target.r#type = Some(Transport::Tls);
            }
            let found = endpoint.transport_layer.lookup(&target, None).await;
            found.map(drop).map_err(|error| format!("no way there: {error}"))
        }
    }

    /// The dialog of an INVITE that has come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn invited(&self, transaction: &Transaction) -> Result<InviteDialog, String> {
        let (states, credential) = (self.states.clone(), self.credential.clone());
        let contact = Some(self.contact.clone());
        self.layer
            .get_or_create_server_invite(transaction, states, credential, contact)
            .map_err(|error| error.to_string())
    }

    /// A dialog has ended.
    pub(crate) fn forget(&self, dialog: &DialogId) {
        self.layer.remove_dialog(dialog);
    }

    /// Unregisters, and listens no longer.
    pub(crate) async fn leave(&mut self) {
        let _ = self.leave.send(true);
        if let Some(registration) = self.registration.take() {
            let _ = tokio::time::timeout(LEAVING, registration).await;
        }
        self.endpoint.shutdown();
    }

    fn register(
        &self,
        account: &Account,
        mut left: watch::Receiver<bool>,
        tell: mpsc::Sender<Registered>,
    ) -> Result<Option<JoinHandle<()>>, String> {
        let Some(registrar) = &account.registrar else { return Ok(None) };
        let mut server = sip_uri(registrar)?;
        if server.transport().is_none() {
            server.params.extend(carried(self.carrier));
        }
        let credential = self.credential.clone().unwrap_or_else(|| Credential {
            // Without one the registration has nobody's name.
            username: self.account.user().unwrap_or_default().into(),
            ..Credential::default()
        });
        let mut registration = Registration::new(self.endpoint.inner.clone(), Some(credential));
        registration.outbound_proxy = account.proxy;
        registration.contact = Some(Contact { display_name: None, uri: self.contact.clone(), params: Vec::new() });
        let (expires, has_password) = (account.expires, account.password.is_some());
        Ok(Some(tokio::spawn(async move {
            let mut failures = 0;
            loop {
                let outcome = registration.register(server.clone(), Some(expires)).await;
                let (told, wait) = match outcome {
                    Ok(response) if response.status_code.kind() == StatusCodeKind::Successful => {
                        failures = 0;
                        let granted = registration.expires();
                        (Registered::Yes(granted), refresh_interval(granted))
                    }
                    Ok(response) => {
                        failures += 1;
                        let why = match response.status_code.code() {
                            401 | 407 if !has_password => {
                                "the registrar wants a password, and the config has none".into()
                            }
                            401 | 403 | 407 => {
                                format!("the registrar refuses user or password ({})", response.status_code)
                            }
                            _ => format!("the registrar says {}", response.status_code),
                        };
                        (Registered::No(why), backoff_interval(failures))
                    }
                    Err(error) => {
                        failures += 1;
                        (Registered::No(error.to_string()), backoff_interval(failures))
                    }
                };
                let _ = tell.send(told).await;
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = left.wait_for(|left| *left) => break,
                }
            }
            let _ = registration.register(server, Some(0)).await;
            let _ = tell.send(Registered::Gone).await;
        })))
    }
}

/// How `;transport=` says it; UDP is what is meant where nothing is said.
fn carried(carrier: Carrier) -> Option<Param> {
    (carrier != Carrier::Udp).then(|| Param::Transport(carrier.into()))
}

fn contact(account: &Uri, sip: &Sip) -> Uri {
    Uri {
        scheme: Some(Scheme::Sip),
        auth: account.user().map(|user| Auth { user: user.into(), password: None }),
        host_with_port: HostWithPort::from(sip.listen),
        params: carried(sip.transport).into_iter().collect(),
        headers: Vec::new(),
    }
}

async fn listen(sip: &Sip, transport: &TransportLayer) -> Result<SipConnection, String> {
    let here = |error: rsipstack::Error| format!("sip.listen {}: {error}", sip.listen);
    Ok(match Transport::from(sip.transport) {
        Transport::Tcp => TcpListenerConnection::new(sip.listen, None).await.map_err(here)?.into(),
        Transport::Tls => {
            let pem = match &sip.certificate {
                Some(path) => read(path)?,
                None => {
                    let names = [sip.listen.ip().to_string()];
                    let own = Certificate::for_names(&names).map_err(|error| format!("no certificate: {error}"))?;
                    own.to_pem().as_bytes().to_vec()
                }
            };
            let trusted = sip.trust.as_deref().map(read).transpose()?;
            let config =
                TlsConfig { cert: Some(pem.clone()), key: Some(pem), ca_certs: trusted, ..TlsConfig::default() };
            transport.set_tls_config(config.clone());
            TlsListenerConnection::new(sip.listen, None, config).await.map_err(here)?.into()
        }
        _ => UdpConnection::create_connection(sip.listen, None, None).await.map_err(here)?.into(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
