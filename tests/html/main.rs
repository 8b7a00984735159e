//! The HTML report in a real browser: drawn without an error, loading nothing, for every light and width, and soon.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

mod chromium;
mod synthetic;

use std::net::TcpListener;
use std::time::Duration;

use chromium::{LIGHT, Look, Page};
use khd::report::html;
use serde_json::Value;
use synthetic::{Run, STILL_MS};

/// As long as a run can be for its page to be there at once.
const LONG_SECONDS: u64 = 600;
/// Chromium makes no window narrower than this.
const LEAST_WINDOW: u32 = 500;

fn page(run: &Run) -> String {
    html::render(&run.report, &run.lanes).unwrap()
}

/// An attribute that the page's script sets on the root element.
fn attribute<'a>(dom: &'a str, name: &str) -> Option<&'a str> {
    let (tag, _) = dom[dom.find("<html")?..].split_once('>')?;
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}

fn ready_ms(dom: &str) -> u64 {
    assert_eq!(attribute(dom, "data-errors"), None);
    let ready = attribute(dom, "data-ready").expect("the script ran to its end");
    ready.parse().unwrap()
}

fn without_policy(page: &str) -> String {
    let from = page.find("<meta http-equiv").unwrap();
    let to = from + page[from..].find("\n").unwrap();
    format!("{}{}", &page[..from], &page[to..])
}

/// Opens the page with a script after its own, and gives what that evaluates to.
fn probe(run: &Run, look: Look, script: &str) -> Value {
    // The policy allows no script but the page's own.
    let page = without_policy(&page(run));
    let probed = format!(
        "{page}<script>document.documentElement.dataset.probe =
            encodeURIComponent(JSON.stringify((() => {{ {script} }})()));</script>"
    );
    let shown = if look.width < LEAST_WINDOW {
        framed(&probed, look.width)
    } else {
        probed
    };
    let dom = Page::of(&shown).dom(look);
    ready_ms(&dom);
    let told = attribute(&dom, "data-probe").expect("the probe ran");
    serde_json::from_str(&decoded(told)).unwrap()
}

/// The page in a frame of some width, whose root's attributes become those of the page around it.
fn framed(page: &str, width: u32) -> String {
    let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!doctype html><html><iframe style=\"border:0\" width=\"{width}\" height=\"900\" srcdoc=\"{escaped}\"></iframe>
        <script>onload = () => Object.assign(document.documentElement.dataset,
            document.querySelector('iframe').contentDocument.documentElement.dataset);</script>"
    )
}

/// Undoes JavaScript's `encodeURIComponent`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let code = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&code).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_lane_is_drawn_and_the_script_meets_no_error() {
    let dom = Page::of(&page(&synthetic::run(30))).dom(LIGHT);
    ready_ms(&dom);
    for (lane, count) in [
        ("axis", 1),
        ("steps", 1),
        ("fault", 1),
        ("rates", 1),
        ("standstill-unacked", 1),
        ("standstill-unread", 1),
        ("broker", 3),
        ("zookeeper", 3),
        ("controller", 1),
        ("group", 1),
        ("rebalances", 1),
        ("partition", 30),
        // Without figures there is no lane.
        ("latency-acknowledgement", 0),
    ] {
        let found = dom.matches(&format!("data-lane=\"{lane}\"")).count();
        assert_eq!(found, count, "lanes of {lane}");
    }
}

#[test]
fn latencies_are_drawn_where_they_are_known() {
    let mut run = synthetic::run(30);
    let point = |second: u64| khd::report::lanes::LatencyPoint {
        at_ms: second * 1000,
        p50_ms: 2.0,
        p99_ms: 30.0,
        max_ms: 400.0 + second as f64,
    };
    run.lanes.latency.acknowledgement = (0..30).map(point).collect();
    let dom = Page::of(&page(&run)).dom(LIGHT);
    ready_ms(&dom);
    assert_eq!(dom.matches("data-lane=\"latency-acknowledgement\"").count(), 1);
    assert_eq!(dom.matches("data-lane=\"latency-end-to-end\"").count(), 0);
}

#[test]
fn names_that_look_like_tags_are_shown_as_they_are() {
    let mut run = synthetic::run(30);
    run.report.sentence = "</script><script>document.documentElement.dataset.hacked = 1</script> & so on".into();
    let dom = Page::of(&page(&run)).dom(LIGHT);
    ready_ms(&dom);
    assert_eq!(attribute(&dom, "data-hacked"), None);
    assert_eq!(dom.matches("<script").count(), 2, "the data, and the page's own");
    assert!(!dom.contains("<i>test"), "the topic's name became an element");
}

/// Whether a page in which something to load was slipped makes the browser come for it.
fn comes_for_it(page: impl FnOnce(&str) -> String) -> (bool, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let page = page(&base);
    let (sender, came) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(listener.accept().is_ok()));
    let dom = Page::of(&page).dom(LIGHT);
    (came.recv_timeout(Duration::from_secs(1)).unwrap_or(false), dom)
}

#[test]
fn nothing_is_loaded_even_if_something_is_slipped_in() {
    let page = page(&synthetic::run(30));
    let slipped = |page: &str, base: &str| {
        let bait = format!("<img src=\"{base}/i.png\"><link rel=\"stylesheet\" href=\"{base}/s.css\">");
        page.replace("</main>", &format!("{bait}</main>"))
    };
    let (came, dom) = comes_for_it(|base| slipped(&page, base));
    assert!(!came, "the browser asked for what the page must not load");
    assert!(
        attribute(&dom, "data-ready").is_some(),
        "and the page works all the same"
    );
    let (came, _) = comes_for_it(|base| slipped(&without_policy(&page), base));
    assert!(came, "without the policy it would: the test can fail");
}

#[test]
fn the_page_loads_no_other_file() {
    let script = "return performance.getEntriesByType('resource').map((entry) => entry.name);";
    let loaded = probe(&synthetic::run(30), LIGHT, script);
    let loaded: Vec<&str> = loaded.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(loaded.iter().all(|name| name.starts_with("data:")), "{loaded:?}");
}

#[test]
fn it_follows_light_and_dark_and_fits_a_phone() {
    let run = synthetic::run(30);
    let script = "return {
        ground: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
        wide: document.documentElement.scrollWidth - innerWidth, width: innerWidth,
        plot: document.querySelector('[data-lane=partition] .plot').clientWidth,
    };";
    let light = probe(&run, LIGHT, script);
    let dark = probe(&run, Look { dark: true, ..LIGHT }, script);
    assert_ne!(light["ground"], dark["ground"]);
    assert_ne!(light["ink"], dark["ink"]);
    assert_eq!(light["ground"], "rgb(247, 247, 244)");
    let phone = Look {
        width: 390,
        dark: false,
    };
    let narrow = probe(&run, phone, script);
    for (look, told) in [("desktop", &light), ("phone", &narrow)] {
        assert!(told["wide"].as_i64().unwrap() <= 0, "{look} scrolls sideways: {told}");
        assert!(
            told["plot"].as_i64().unwrap() > 150,
            "{look} leaves the lanes no room: {told}"
        );
    }
    assert!(narrow["width"].as_i64().unwrap() <= 390, "{narrow}");
}

#[test]
fn a_pointer_over_a_partition_is_told_leader_isr_and_pause_to_the_millisecond() {
    let script = "
        const row = [...document.querySelectorAll('[data-lane=partition]')].find((row) => row.querySelector('.name').textContent === '1');
        const box = row.querySelector('.plot').getBoundingClientRect();
        const at = { clientX: box.left + box.width * 0.15, clientY: box.top + 5, bubbles: true };
        row.querySelector('.plot').dispatchEvent(new PointerEvent('pointermove', at));
        return { tip: document.querySelector('.tip').textContent, now: document.querySelector('.now').textContent };";
    // 15 % of 30 s is 4.5 s: kafka2 is gone since 3 s.
    let told = probe(&synthetic::run(30), LIGHT, script);
    let tip = told["tip"].as_str().unwrap();
    assert!(tip.contains("led by kafka2") || tip.contains("led by kafka3"), "{tip}");
    assert!(tip.contains("in sync"), "{tip}");
    let least = u64::try_from(STILL_MS).unwrap();
    let (_, pause) = tip.split_once("no acknowledgement for ").expect(tip);
    let (_, exact) = pause.split_once('(').unwrap();
    let exact: u64 = exact.split_once(" ms").unwrap().0.replace(',', "").parse().unwrap();
    assert!((least..least + 600).contains(&exact), "{exact}: {tip}");
    assert!(told["now"].as_str().unwrap().starts_with("4.5"), "{told}");
}

#[test]
fn it_is_zoomed_by_keys_buttons_wheel_and_dragging() {
    let script = "
        const board = document.querySelector('.lanes');
        const plot = document.querySelector('[data-lane=rates] .plot');
        const box = plot.getBoundingClientRect();
        const shown = () => { draw(); return document.querySelector('.shown').textContent; };
        const key = (key) => board.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const steps = { start: shown() };
        key('+'); steps.key = shown();
        key('0'); steps.whole = shown();
        document.querySelector('[data-do=fault]').click(); steps.fault = shown();
        key('0');
        plot.dispatchEvent(new WheelEvent('wheel', { deltaY: -100, ctrlKey: true, bubbles: true, cancelable: true, clientX: box.left + 10 })); steps.wheel = shown();
        key('0'); shown();
        plot.dispatchEvent(new WheelEvent('wheel', { deltaY: 100, bubbles: true, cancelable: true })); steps.plain_wheel = shown();
        board.setPointerCapture = () => {};
        const drag = (type, share) => plot.dispatchEvent(new PointerEvent(type, { button: 0, pointerType: 'mouse', bubbles: true, clientX: box.left + share * box.width, clientY: box.top + 5 }));
        drag('pointerdown', 0.5); drag('pointermove', 0.6); drag('pointerup', 0.6); steps.drag = shown();
        key('ArrowDown'); key('ArrowRight'); steps.tip = document.querySelector('.tip').textContent;
        return steps;";
    let steps = probe(&synthetic::run(30), LIGHT, script);
    assert_eq!(steps["start"], "whole run, 30.0 s");
    for way in ["key", "fault", "wheel", "drag"] {
        assert_ne!(steps[way], steps["start"], "{way} does not zoom: {steps}");
    }
    assert_eq!(steps["drag"], "15.000 s to 18.000 s", "{steps}");
    for way in ["whole", "plain_wheel"] {
        assert_eq!(steps[way], steps["start"], "{way}: {steps}");
    }
    assert_ne!(steps["tip"], "", "arrow keys tell nothing: {steps}");
}

#[test]
fn on_paper_everything_is_unfolded() {
    let run = synthetic::run(30);
    let script = "
        const folded = () => document.querySelectorAll('details:not([open])').length;
        const before = folded();
        dispatchEvent(new Event('beforeprint'));
        return [before, folded()];";
    let folded = probe(&run, LIGHT, script);
    assert!(folded[0].as_u64().unwrap() > 0);
    assert_eq!(folded[1], 0);
    let pdf = Page::of(&page(&run)).printed();
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 20_000, "{} bytes", pdf.len());
}

#[test]
fn ten_minutes_of_thirty_partitions_are_there_within_seconds() {
    let run = synthetic::run(LONG_SECONDS);
    let pauses = run
        .lanes
        .partitions
        .iter()
        .map(|lane| lane.unacknowledged.len() + lane.undelivered.len());
    let pauses: usize = pauses.sum();
    assert!(pauses > 50_000, "the run has too little to draw: {pauses} pauses");
    let page = page(&run);
    let took = ready_ms(&Page::of(&page).dom(LIGHT));
    println!("{} bytes with {pauses} pauses were ready after {took} ms", page.len());
    // It is within one on a machine with nothing else to do.
    assert!(took < 5_000, "{took} ms");
}
