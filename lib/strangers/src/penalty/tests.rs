use super::*;
use proptest::prelude::*;

const HOME: &str = "192.0.2.1";
const BAD: &str = "198.51.100.7";

/// Penalties, and a clock that stands still unless it is moved.
struct World {
    penalties: Penalties,
    rules: Rules,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let (first, most) = (Duration::from_secs(2), Duration::from_secs(15));
        let rules = Rules { first, most, per_minute: 3, trusted: "10.0.0.0/8".parse().unwrap() };
        // Not at the clock's beginning, so that there is a past.
        Self { penalties: Penalties::default(), rules, now: Instant::now() + 2 * KNOWN }
    }

    /// A wrong password; the seconds after which that is told.
    fn wrong(&mut self, user: &str, address: &str) -> u64 {
        let address = address.parse().ok();
        self.penalties.failed(user, address, None, &self.rules, self.now);
        self.penalties.after_failure(user, address, &self.rules, self.now).as_secs()
    }

    /// A right one.
    fn right(&mut self, user: &str, address: &str) -> u64 {
        let address = address.parse().ok();
        let after = self.penalties.after_success(user, address, &self.rules, self.now);
        self.penalties.succeeded(user, address, self.now);
        after.as_secs()
    }

    fn attempt(&mut self, address: &str) -> bool {
        self.penalties.attempt(address.parse().ok(), &self.rules, self.now)
    }
}

#[test]
fn answers_to_wrong_passwords_take_twice_as_long_each_time_up_to_a_limit() {
    let mut world = World::new();
    let told: Vec<u64> = (0..6).map(|_| world.wrong("alice", BAD)).collect();
    assert_eq!(told, [2, 4, 8, 15, 15, 15]);
    world.now += FAILURE;
    assert_eq!(world.wrong("alice", BAD), 2);
    world.rules.first = Duration::ZERO;
    assert_eq!((world.wrong("alice", BAD), world.right("alice", BAD)), (0, 0));
    for _ in 0..100 {
        world.wrong("alice", BAD);
    }
    world.rules.first = Duration::from_secs(20);
    assert_eq!(world.wrong("alice", BAD), 20, "the maximum is no less than the first");
}

#[test]
fn a_right_password_from_where_somebody_guesses_waits_as_well() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.wrong(name, BAD);
    }
    assert_eq!(world.right("alice", BAD), 8);
    assert_eq!(world.right("alice", HOME), 0);
    // That somebody else has got in from there changes nothing for those who guess.
    assert_eq!(world.wrong("e", BAD), 15);
}

#[test]
fn one_mistake_costs_nothing_and_success_forgets_ones_own() {
    let mut world = World::new();
    assert_eq!((world.wrong("alice", HOME), world.right("alice", HOME)), (2, 0));
    assert_eq!((world.wrong("alice", HOME), world.wrong("alice", HOME)), (2, 4));
    assert_eq!(world.right("alice", HOME), 2);
    assert_eq!((world.wrong("bob", HOME), world.right("alice", HOME)), (2, 0));
}

#[test]
fn who_is_tried_from_everywhere_gets_in_from_where_he_always_is() {
    let mut world = World::new();
    world.right("alice", HOME);
    for host in 0..200 {
        world.wrong("alice", &format!("198.51.100.{host}"));
    }
    assert_eq!(world.wrong("alice", "203.0.113.9"), 15, "each of them is slow");
    assert_eq!(world.right("alice", HOME), 0);
    assert_eq!(world.right("alice", "203.0.113.1"), 15, "not from where nobody knows her");
    world.now += KNOWN;
    world.wrong("alice", "203.0.113.9");
    world.wrong("alice", "203.0.113.9");
    assert_eq!(world.right("alice", HOME), 2, "not known for ever");
}

#[test]
fn the_same_wrong_password_again_is_no_guess() {
    let mut world = World::new();
    let address = HOME.parse().ok();
    let mut tried = |print| world.penalties.failed("alice", address, Some(print), &world.rules, world.now);
    assert_eq!([1, 1, 1, 2, 1].map(&mut tried), [true, false, false, true, true]);
}

#[test]
fn a_trusted_address_is_not_counted_but_the_user_there_is() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(world.wrong(name, "10.0.0.1"), 2);
    }
    assert_eq!(world.right("alice", "10.0.0.1"), 0);
    let told: Vec<u64> = (0..4).map(|_| world.wrong("alice", "10.0.0.1")).collect();
    assert_eq!(told, [2, 4, 8, 15]);
    assert!((0..100).all(|_| world.attempt("10.0.0.1")));
}

#[test]
fn neighbours_in_ipv6_are_one() {
    let mut world = World::new();
    world.wrong("a", "2001:db8::1");
    assert_eq!(world.wrong("b", "2001:db8::2"), 4);
    assert_eq!(world.wrong("c", "2001:db8:0:1::2"), 2);
}

#[test]
fn attempts_without_success_are_counted_by_the_minute() {
    let mut world = World::new();
    assert_eq!([(); 4].map(|()| world.attempt(BAD)), [true, true, true, false]);
    assert!(world.attempt(HOME));
    world.now += MINUTE;
    assert!(world.attempt(BAD));
    for _ in 0..100 {
        assert!(world.attempt(HOME));
        world.right("alice", HOME);
    }
    world.rules.per_minute = 0;
    assert!((0..100).all(|_| world.attempt(BAD)));
}

#[test]
fn what_one_process_remembers_another_learns() {
    let mut world = World::new();
    world.right("alice", HOME);
    for host in ["198.51.100.7", "198.51.100.7", "2001:db8::1"] {
        world.wrong("alice", host);
    }
    world.now += MINUTE;
    let mut other = World::new();
    other.now = world.now;
    let all: Vec<Remembered> = world.penalties.all(world.now).collect();
    for it in all.clone() {
        other.penalties.learn(it, other.now);
    }
    let sorted = |mut all: Vec<Remembered>| {
        all.sort_by_key(|it| format!("{it:?}"));
        all
    };
    assert_eq!(sorted(other.penalties.all(other.now).collect()), sorted(all));
    assert_eq!(other.right("alice", HOME), 0);
    assert_eq!(other.wrong("bob", "198.51.100.7"), 8);
    other.now += KNOWN;
    assert_eq!(other.penalties.all(other.now).filter(|it| it.age > FAILURE).count(), 0);
}

proptest! {
    #[test]
    fn whatever_strangers_choose_it_has_a_bound(seed: u64, half in 1usize..100, names in 1u64..500) {
        let mut world = World { penalties: Penalties::new(half), ..World::new() };
        for number in 0..500u64 {
            let hash = (number ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let address = IpAddr::from((u128::from(hash) << 64 | u128::from(number)).to_be_bytes());
            let user = format!("{}", hash % names);
            world.penalties.attempt(Some(address), &world.rules, world.now);
            world.penalties.failed(&user, Some(address), None, &world.rules, world.now);
            world.penalties.succeeded(&format!("{hash}"), Some(address), world.now);
        }
        let Penalties { addresses, users, pairs, known, attempts } = &world.penalties;
        let sizes = [
            addresses.iter().count(),
            users.iter().count(),
            pairs.iter().count(),
            known.iter().count(),
            attempts.iter().count(),
        ];
        prop_assert!(sizes.iter().all(|size| *size <= 2 * half), "{sizes:?}");
        let long = "x".repeat(LONGEST + 1);
        world.wrong(&long, BAD);
        prop_assert!(world.penalties.all(world.now).all(|it| it.user.as_deref() != Some(long.as_str())));
    }
}
