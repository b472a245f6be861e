//! The value of `--partition`: a part of a sweep, given or found in the variables of a scheduler.

use lenet_train::sweep::Partition;

pub(crate) const HELP: &str = "Run only this part of each comparison: I/N such as 3/50; auto takes it from \
                               a Slurm array, auto/N also from Kubernetes or HyperQueue. \
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
    let find = |name: &str| variable(name).map(|value| number(name, &value)).transpose();
    let (index, count) = if let Some(id) = find("SLURM_ARRAY_TASK_ID")? {
        let first = find("SLURM_ARRAY_TASK_MIN")?.unwrap_or(1);
        let step = find("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let place = id.checked_sub(first).ok_or_else(|| {
            format!("SLURM_ARRAY_TASK_ID is {id}, below SLURM_ARRAY_TASK_MIN, which is {first}")
        })?;
        (place / step + 1, find("SLURM_ARRAY_TASK_COUNT")?)
    } else if let Some(index) = find("JOB_COMPLETION_INDEX")? {
        (index.saturating_add(1), None)
    } else if let Some(id) = find("HQ_TASK_ID")? {
        (id, None)
    } else {
        return Err(
            "none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX and HQ_TASK_ID is set: run it in an array of one of \
             these schedulers, or name the part, such as 3/50"
                .to_owned(),
        );
    };
    let Some(count) = total.or(count) else {
        return Err(format!(
            "the scheduler does not say how many parts there are: write auto/N, such as auto/{}",
            index.max(50)
        ));
    };
    Partition::new(index, count).map_err(to_text)
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
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "3"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        for (text, variables, expected) in [
            ("3/50", &[][..], "3/50"),
            ("3/50", &slurm, "3/50"),
            ("auto", &slurm, "3/4"),
            ("auto/9", &slurm, "3/9"),
            ("auto/8", &kubernetes, "1/8"),
            ("auto/8", &[("HQ_TASK_ID", "8")], "8/8"),
        ] {
            assert_eq!(parsed(text, variables).as_deref(), Ok(expected), "{text}");
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
