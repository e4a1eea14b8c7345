//! The safety assertions and the place of the deliberate bugs.

/// Asserts what a rule promises of our own state; stays on in release builds and names its rule. Never used to judge a
/// peer's message. A mutant's run is to be caught by the simulator's oracles, so there it does not fire.
#[macro_export]
macro_rules! rule {
    ($config:expr, $rule:literal, $holds:expr, $($what:tt)+) => {
        if !$holds && !$crate::assertion::is_mutated(&$config) {
            panic!("{}: {}", $rule, format_args!($($what)+));
        }
    };
}

/// Whether this deliberate bug is switched on; `false`, at compile time, without the feature `mutants`.
#[macro_export]
macro_rules! mutant {
    ($config:expr, $mutant:ident) => {{
        #[cfg(feature = "mutants")]
        let on = $config.mutant == Some($crate::mutant::Mutant::$mutant);
        #[cfg(not(feature = "mutants"))]
        let on = {
            // Each is its own: two in one condition are not the same twice.
            let _ = (&$config, stringify!($mutant));
            false
        };
        on
    }};
}

/// Whether a deliberate bug is switched on.
pub fn is_mutated(config: &crate::Config) -> bool {
    #[cfg(feature = "mutants")]
    return config.mutant.is_some();
    #[cfg(not(feature = "mutants"))]
    {
        let _ = config;
        false
    }
}
