//! The value of `--partition`: a part of a sweep, given or found in the variables of a scheduler.

use lenet_train::sweep::Partition;

pub(crate) const HELP: &str = "Run only this part of each comparison: I/N such as 3/50; auto takes it from \
                               a Slurm array, auto/N also from one index of it, Kubernetes or HyperQueue. \
                               Afterwards, run the same command without it to merge the parts";

/// Parses `I/N`, `auto` or `auto/N`.
pub(crate) fn partition(text: &str) -> Result<Partition, String> {
    parse(text, |name| std::env::var(name).ok())
}

fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Partition, String> {
    let total = match text.split_once('/') {
        Some(("auto", total)) => Some(number("the number of parts", total)?),
        None if text == "auto" => None,
        _ => return text.parse().map_err(to_text),
    };
    let find = |name: &str| {
        let value = variable(name);
        value.map(|value| number(name, &value)).transpose()
    };
    // The innermost first: workers of HyperQueue may be an array of Slurm themselves.
    let (index, count) = if let Some(id) = find("HQ_TASK_ID")? {
        (id, None)
    } else if let Some(index) = find("JOB_COMPLETION_INDEX")? {
        (index.saturating_add(1), None)
    } else if let Some(id) = find("SLURM_ARRAY_TASK_ID")? {
        match total {
            Some(_) => (id, None),
            None => of_whole_array(id, find)?,
        }
    } else {
        return Err(
            "none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX and HQ_TASK_ID is set: run it in an array of one of \
             these schedulers, or name the part, such as 3/50"
                .to_owned(),
        );
    };
    let Some(count) = total.or(count) else {
        return Err(
            "the scheduler does not say how many parts there are: write auto/N, such as auto/50"
                .to_owned(),
        );
    };
    Partition::new(index, count).map_err(to_text)
}

/// The part and the number of parts of a task of a Slurm array.
///
/// An array of some indices, as when one part is submitted again, does not say how many parts there are.
fn of_whole_array(
    id: usize,
    find: impl Fn(&str) -> Result<Option<usize>, String>,
) -> Result<(usize, Option<usize>), String> {
    let [first, last, count] = [
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_COUNT",
    ]
    .map(|name| {
        find(name)?.ok_or_else(|| format!("{name} is not set: write auto/N, such as auto/50"))
    });
    let (first, last, count) = (first?, last?, count?);
    let is_whole = first <= 1
        && last
            .checked_sub(first)
            .is_some_and(|rest| rest + 1 == count);
    // A single task may be one of many.
    if !is_whole || count == 1 || id < first {
        return Err(format!(
            "the array has {count} of the indices {first} to {last}, so it does not say how many parts there are: write \
             auto/N with their number, and count them from 1"
        ));
    }
    Ok((id - first + 1, Some(count)))
}

fn number(name: &str, text: &str) -> Result<usize, String> {
    let number = text.parse();
    number.map_err(|_| format!("{name} is '{text}': expected a whole number"))
}

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let mut variables = variables.iter();
            let found = variables.find(|(other, _)| *other == name)?;
            Some(found.1.to_owned())
        };
        parse(text, variable).map(|part| part.to_string())
    }

    #[test]
    fn the_part_is_that_of_the_array_task() {
        let slurm = |id, first, last, count| {
            [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", first),
                ("SLURM_ARRAY_TASK_MAX", last),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ]
        };
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        let within = [("HQ_TASK_ID", "8"), ("SLURM_ARRAY_TASK_ID", "3")];
        for (text, variables, expected) in [
            ("3/50", &[][..], "3/50"),
            ("3/50", &slurm("7", "1", "9", "9"), "3/50"),
            ("auto", &slurm("7", "1", "9", "9"), "7/9"),
            ("auto", &slurm("0", "0", "8", "9"), "1/9"),
            // One part, submitted again.
            ("auto/9", &slurm("7", "7", "7", "1"), "7/9"),
            ("auto/8", &kubernetes, "1/8"),
            ("auto/8", &within, "8/8"),
        ] {
            assert_eq!(parsed(text, variables).as_deref(), Ok(expected), "{text}");
        }
        // It would run another part, or all of them.
        for variables in [
            slurm("7", "7", "7", "1"),
            slurm("1", "1", "1", "1"),
            slurm("3", "1", "9", "2"),
        ] {
            let error = parsed("auto", &variables).unwrap_err();
            assert!(error.contains("write auto/N"), "{error}");
        }
    }

    #[test]
    fn what_names_no_part_is_refused_with_the_reason() {
        for (text, variables, expected) in [
            ("auto", &[][..], "name the part"),
            ("auto", &[("JOB_COMPLETION_INDEX", "2")], "write auto/N"),
            ("auto/2", &[("JOB_COMPLETION_INDEX", "2")], "'3/2'"),
            ("auto/x", &[], "the number of parts is 'x'"),
            ("auto/8", &[("HQ_TASK_ID", "a")], "HQ_TASK_ID is 'a'"),
            ("0/4", &[], "'0/4'"),
            ("half", &[], "'half'"),
        ] {
            let error = parsed(text, variables).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
