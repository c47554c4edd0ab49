//! Grafana's dashboards from their short form, `deploy/grafana/dashboards.toml`, and the metrics that they and the alerts
//! ask for.
//!
//! Grafana's own format says everything about every panel, so that nobody can review it; here a panel is its title, its
//! query and its unit. What is made is what Grafana 10 and later import (schema version 39), with the data source left
//! open.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::workspace;

/// Columns of Grafana's grid.
const GRID: u64 = 24;
/// Panels in a line.
const PANELS: usize = 3;
const PANEL_WIDTH: u64 = 8;
const PANEL_HEIGHT: u64 = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dashboard: Vec<Dashboard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dashboard {
    name: String,
    title: String,
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    title: String,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    query: String,
    unit: String,
    #[serde(default)]
    legend: String,
}

/// The files that there have to be, with what is in them.
///
/// # Errors
/// When the short form can't be read.
pub fn made() -> Result<Vec<(PathBuf, String)>> {
    let directory = workspace::root().join("deploy/grafana");
    let file: File = toml::from_str(&fs::read_to_string(directory.join("dashboards.toml"))?)?;
    file.dashboard
        .iter()
        .map(|dashboard| {
            let text = serde_json::to_string_pretty(&dashboard.grafana())?;
            Ok((directory.join(format!("{}.json", dashboard.name)), text + "\n"))
        })
        .collect()
}

/// Writes them.
///
/// # Errors
/// When they can't be made or written.
pub fn write() -> Result<()> {
    for (path, text) in made()? {
        fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}

/// The metrics in `text`, queries or a document, without what histograms and summaries add to their names.
pub fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || "_:".contains(character);
    let names = text.split(|character| !is_name(character));
    let ours = names.filter(|name| name.starts_with("playgate_") || name.starts_with("process_"));
    ours.map(|name| {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        base.unwrap_or(name).to_owned()
    })
    .collect()
}

impl Dashboard {
    fn grafana(&self) -> Value {
        let mut panels = Vec::new();
        let mut y = 0;
        for row in &self.row {
            panels.push(json!({
                "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": { "x": 0, "y": y, "w": GRID, "h": 1 },
            }));
            y += 1;
            for line in row.panels.chunks(PANELS) {
                for (column, panel) in (0..).zip(line) {
                    let place = json!({ "x": column * PANEL_WIDTH, "y": y, "w": PANEL_WIDTH, "h": PANEL_HEIGHT });
                    panels.push(panel.grafana(&place));
                }
                y += PANEL_HEIGHT;
            }
        }
        for (id, panel) in (1..).zip(&mut panels) {
            panel["id"] = json!(id);
        }
        json!({
            "uid": format!("playgate-{}", self.name),
            "title": self.title,
            "tags": ["playgate"],
            "schemaVersion": 39,
            "editable": true,
            "graphTooltip": 1,
            "time": { "from": "now-6h", "to": "now" },
            "refresh": "30s",
            "templating": { "list": [
                { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
                {
                    "name": "instance", "label": "Instance", "type": "query", "datasource": data_source(),
                    "query": "label_values(playgate_build_info, instance)", "refresh": 2,
                    "multi": true, "includeAll": true, "allValue": ".*", "current": { "text": "All", "value": "$__all" },
                },
            ] },
            "panels": panels,
        })
    }
}

/// The one that is chosen at the top of a dashboard.
fn data_source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

impl Panel {
    fn grafana(&self, place: &Value) -> Value {
        json!({
            "type": "timeseries",
            "title": self.title,
            "datasource": data_source(),
            "gridPos": place,
            "fieldConfig": { "defaults": { "unit": self.unit, "min": 0 }, "overrides": [] },
            "targets": [{
                "refId": "A", "datasource": data_source(), "expr": self.query,
                "legendFormat": if self.legend.is_empty() { &self.title } else { &self.legend },
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> String {
        fs::read_to_string(workspace::root().join(file)).expect(file)
    }

    /// Where a heading of a Markdown document can be linked to.
    fn anchor(line: &str) -> Option<String> {
        let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
        let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
        Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
    }

    #[test]
    fn names_of_metrics_are_found_without_what_histograms_add() {
        let text = "sum(rate(playgate_a_seconds_bucket{x=\"1\"}[5m])) / playgate:recorded:ratio + `process_open_fds`";
        let found: Vec<String> = metrics_in(text).into_iter().collect();
        assert_eq!(found, ["playgate_a_seconds", "process_open_fds"]);
    }

    #[test]
    fn dashboards_and_alerts_ask_for_metrics_that_there_are() {
        let known = metrics_in(&read("docs/operations.md"));
        for file in ["deploy/grafana/dashboards.toml", "deploy/prometheus/alerts.yaml"] {
            let unknown: Vec<String> = metrics_in(&read(file)).difference(&known).cloned().collect();
            assert_eq!(unknown, [""; 0], "{file} asks for what docs/operations.md does not have");
        }
    }

    #[test]
    fn every_alert_says_where_to_read_on_and_it_is_there() {
        let alerts = read("deploy/prometheus/alerts.yaml");
        let runbooks: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")).collect();
        assert_eq!(runbooks.len(), alerts.matches("- alert: ").count());
        for runbook in runbooks {
            let (file, heading) = runbook.split_once('#').unwrap_or((runbook, ""));
            let is_there =
                heading.is_empty() || read(file).lines().any(|line| anchor(line).as_deref() == Some(heading));
            assert!(is_there, "there is no {runbook}");
        }
    }

    #[test]
    fn the_dashboards_are_what_their_short_form_says() {
        for (path, text) in made().expect("the short form is read") {
            let is_so = fs::read_to_string(&path).ok() == Some(text);
            assert!(is_so, "run `cargo xtask dashboards`: {} is another one", path.display());
        }
    }

    #[test]
    fn a_heading_is_linked_to_by_its_words() {
        assert_eq!(anchor("### When account is lost").as_deref(), Some("when-account-is-lost"));
        assert_eq!(anchor("no heading"), None);
    }

    #[test]
    fn every_panel_has_a_place_of_its_own() {
        for (path, text) in made().expect("the short form is read") {
            let dashboard: Value = serde_json::from_str(&text).expect("JSON");
            let panels = dashboard["panels"].as_array().expect("panels");
            let places: BTreeSet<String> = panels.iter().map(|panel| panel["gridPos"].to_string()).collect();
            assert_eq!(places.len(), panels.len(), "{}", path.display());
        }
    }
}
