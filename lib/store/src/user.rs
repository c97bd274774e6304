//! One user's mail: where it is, what rules hold for it, which mailboxes are open.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::dirs::Dirs;
use crate::mode::Creation;
use crate::name::Name;
use crate::{Error, Hook, Listing, Location, Mailbox, Now, Process, Saving, Subscriptions};

/// A user. All his clients in a process share one.
pub struct User {
    pub(crate) process: Rc<Process>,
    pub(crate) location: Location,
    pub(crate) hooks: Rc<[Box<dyn Hook>]>,
    pub(crate) saving: Saving,
    /// Few: those that a client has open, and some that nobody has.
    mailboxes: RefCell<Vec<Open>>,
}

struct Open {
    mailbox: Rc<Mailbox>,
    /// When it was last seen in use.
    used: Instant,
}

/// A model that nobody uses is kept this long, for the client that comes back at once.
pub const IDLE_MODEL: Duration = Duration::from_secs(10);
/// So many of them in any case.
const IDLE_MODELS_MIN: usize = 3;
/// And as long as they weigh no more than so many empty ones: a client that asks for the STATUS of all folders in turn
/// finds them known.
const IDLE_WEIGHT_MAX: usize = 64;
/// So many messages weigh as much as an empty model.
const MESSAGES_A_WEIGHT: usize = 1000;

impl User {
    /// A user whose mail is at `location`, with his rules. Touches no file.
    pub fn new(process: Rc<Process>, location: Location, hooks: Vec<Box<dyn Hook>>) -> User {
        let (hooks, saving) = (hooks.into(), Saving::default());
        User { process, location, hooks, saving, mailboxes: RefCell::default() }
    }

    /// The same, whose messages are saved so.
    #[must_use]
    pub fn with_saving(self, saving: Saving) -> User {
        User { saving, ..self }
    }

    /// Where his mail is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// All mailboxes and the gaps between them: to be looked for in turns.
    pub fn list(&self) -> Listing {
        Listing::new(&self.location)
    }

    /// What he subscribed to: to be read in turns.
    pub fn subscriptions(&self) -> Result<Subscriptions, Error> {
        Subscriptions::new(&self.location)
    }

    /// The model of a mailbox. `name` is as on the wire (mUTF-7), INBOX in any case. INBOX is made if it is not there,
    /// and new, cur and tmp of any. The model knows nothing until [`Mailbox::sync`] is done. All who ask get the same.
    pub fn open(&self, name: &[u8], now: Now) -> Result<Rc<Mailbox>, Error> {
        let name = Name::parse(name, &self.location)?;
        let root = name.root(&self.location);
        let mut mailboxes = self.mailboxes.borrow_mut();
        if let Some(open) = mailboxes.iter_mut().find(|open| *open.mailbox.root == *root) {
            open.used = now.instant;
            return Ok(Rc::clone(&open.mailbox));
        }
        let control = name.control(&self.location);
        let index = name.index(&self.location);
        self.make(&name, &root, control.as_deref())?;
        let (process, hooks) = (self.process.clone(), self.hooks.clone());
        let mailbox = Rc::new(Mailbox::new(process, &root, control, index, hooks, self.saving));
        mailbox.state.borrow_mut().validities = Some(self.control().into());
        make_room(&mut mailboxes);
        mailboxes.reserve_exact(1);
        mailboxes.push(Open { mailbox: Rc::clone(&mailbox), used: now.instant });
        Ok(mailbox)
    }

    /// Lets go of the models that nobody used for [`IDLE_MODEL`]. Returns when to call again. A scan that nobody
    /// waits for any more is let go too, so call it as that user.
    pub fn forget_idle(&self, now: Now) -> Option<Instant> {
        let mut mailboxes = self.mailboxes.borrow_mut();
        for open in mailboxes.iter_mut().filter(|open| !open.is_idle()) {
            open.used = now.instant;
        }
        mailboxes.retain(|open| now.instant.saturating_duration_since(open.used) < IDLE_MODEL);
        mailboxes.iter().filter(|open| open.is_idle()).map(|open| open.used + IDLE_MODEL).min()
    }

    /// Throws a model away: the next open loads it anew. For models that a panic may have left half-changed.
    pub fn forget(&self, mailbox: &Rc<Mailbox>) {
        self.mailboxes.borrow_mut().retain(|open| !Rc::ptr_eq(&open.mailbox, mailbox));
    }

    /// Lets go of the model of a mailbox that is there no more, or is another one now.
    pub(crate) fn forget_at(&self, root: &Path) {
        self.mailboxes.borrow_mut().retain(|open| *open.mailbox.root != *root);
    }

    /// The same, and of those whose directories are below its own.
    pub(crate) fn forget_below(&self, root: &Path) {
        self.mailboxes.borrow_mut().retain(|open| !open.mailbox.root.starts_with(root));
    }

    /// Makes what is missing, and finds out whether there is such a mailbox at all.
    fn make(&self, name: &Name<'_>, root: &Path, control: Option<&Path>) -> Result<(), Error> {
        let exists = self.is_mailbox(name)?;
        if !exists && !name.is_inbox() {
            return Err(Error::NoSuchMailbox(root.to_owned()));
        }
        if !exists {
            let above = root.parent().unwrap_or(root);
            let private = above == root || !above.join("dovecot-shared").exists();
            let creation = if private { Creation::PRIVATE } else { Creation::within(above) };
            creation.directory(root).map_err(Error::io("create", root))?;
        }
        Dirs::new(root.into()).make()?;
        if let Some(control) = control.filter(|control| !control.is_dir()) {
            Creation::PRIVATE.directory(control).map_err(Error::io("create", control))?;
        }
        // Here, and not when the first cache is written: the mailbox may be deleted by then.
        if let Some(index) = self.location.index_root().and_then(|_| name.index(&self.location))
            && !index.is_dir()
            && let Err(error) = Creation::PRIVATE.directory(&index)
        {
            log::debug!("creating {}: {error}", index.display());
        }
        Ok(())
    }
}

/// Lets go of those that are idle for longest, where there are too many.
fn make_room(mailboxes: &mut Vec<Open>) {
    let mut idle = mailboxes.iter().filter(|open| open.is_idle()).count();
    let mut weight: usize = mailboxes.iter().filter(|open| open.is_idle()).map(Open::weight).sum();
    while idle >= IDLE_MODELS_MIN && weight >= IDLE_WEIGHT_MAX {
        let all = mailboxes.iter().enumerate().filter(|(_, open)| open.is_idle());
        let Some((oldest, _)) = all.min_by_key(|(_, open)| open.used) else { break };
        weight -= mailboxes.swap_remove(oldest).weight();
        idle -= 1;
    }
}

impl Open {
    /// What its memory is, with 1 for that of an empty one.
    fn weight(&self) -> usize {
        1 + self.mailbox.state.borrow().model.messages.all().len() / MESSAGES_A_WEIGHT
    }

    fn is_idle(&self) -> bool {
        Rc::strong_count(&self.mailbox) == 1
    }
}
