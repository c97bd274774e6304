//! What mail-auth and mail-login are told of the configuration: their environments, as mail-environ(7) has them.

use envdump::{Environment, Invalid};
use wire::Protocol;

use crate::config::Config;
use crate::config::database::Database;
use crate::config::value::Value;

impl Config {
    /// The environment of mail-auth.
    ///
    /// # Errors
    /// [`Invalid`] where a value is larger than an environment can hold.
    pub(crate) fn auth_environment(&self) -> Result<Environment, Invalid> {
        let mut environment = Environment::new();
        databases(&mut environment, "PASSDB", &self.passdbs)?;
        databases(&mut environment, "USERDB", &self.userdbs)?;
        for (name, value) in self.server.variables() {
            environment.set(name, value)?;
        }
        if self.imap.mail_debug || self.pop3.mail_debug {
            environment.set("DEBUG", "1")?;
        }
        Ok(environment)
    }

    /// The environment of a mail-login for one protocol.
    ///
    /// # Errors
    /// [`Invalid`] where a value is larger than an environment can hold.
    pub(crate) fn login_environment(&self, protocol: Protocol) -> Result<Environment, Invalid> {
        let settings = self.protocol(protocol);
        let connections = match settings.login_process_per_connection {
            true => Some("1".to_owned()),
            false => settings.login_max_connections.variable(),
        };
        let capability = settings.imap_capability.variable().filter(|_| protocol == Protocol::Imap);
        let delay = settings.pop3_login_delay.variable().filter(|_| protocol == Protocol::Pop3);
        let variables = [
            ("PROTOCOL", Some(protocol.name().to_owned())),
            ("GREETING", settings.login_greeting.variable()),
            ("DISABLE_PLAINTEXT_AUTH", settings.disable_plaintext_auth.variable()),
            ("PROCESS_PER_CONNECTION", settings.login_process_per_connection.variable()),
            ("LOGIN_MAX_CONNECTIONS", connections),
            ("LOGIN_TIMEOUT", settings.login_timeout.variable()),
            ("LOGIN_TRUSTED_NETWORKS", self.server.login_trusted_networks.variable()),
            ("AUTH_MECHANISMS", self.server.auth_mechanisms.variable()),
            ("IMAP_CAPABILITY", capability),
            ("POP3_LOGIN_DELAY", delay),
            ("VERBOSE_PROCTITLE", settings.verbose_proctitle.variable()),
            ("DEBUG", settings.mail_debug.variable()),
        ];
        let mut environment = Environment::new();
        for (name, value) in variables {
            if let Some(value) = value {
                environment.set(name, value)?;
            }
        }
        Ok(environment)
    }
}

fn databases(environment: &mut Environment, kind: &str, databases: &[Database]) -> Result<(), Invalid> {
    for (number, database) in (1..).zip(databases) {
        environment.set(format!("{kind}_{number}_DRIVER"), database.driver)?;
        if !database.args.is_empty() {
            environment.set(format!("{kind}_{number}_ARGS"), &database.args)?;
        }
    }
    Ok(())
}
