//! The live page in a real browser, through a real drill.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::browser::{Browser, Look};
use crate::prometheus::get;
use crate::support::Lab;

/// Whether the page shows the lab as healthy.
pub const HEALTHY: &str = "document.querySelector('#health').dataset.healthy === 'true'";

/// How many cells of the grid have a role.
pub fn all(role: &str) -> String {
    format!("document.querySelectorAll('td[data-role=\"{role}\"]').length")
}

/// How many cells of kafka2 have a role.
fn of_kafka2(role: &str) -> String {
    format!("document.querySelectorAll('td[data-broker=\"2\"][data-role=\"{role}\"]').length")
}

fn text(selector: &str) -> String {
    format!("document.querySelector('{selector}').innerText")
}

#[test]
fn the_page_shows_a_drill_as_it_happens_and_answers_nobody_else() {
    let lab = Lab::new("khdtest-page", 17);
    let mut serving = lab.start(&["serve"]);
    serving.until("showing lab khdtest-page");
    let address = lab.published(8088);
    let url = format!("http://{address}/");
    let desk = Look {
        width: 1280,
        height: 2000,
        dark: false,
    };
    let page = Browser::open(&url, &desk);
    page.wait_for("the page is told", "document.body.dataset.connection === 'open'");
    page.wait_for("what to do is said", &format!("{}.includes('khd up')", text("body")));

    // The page was there first, and sees the lab come up.
    lab.run(&["up"], 0);
    page.wait_for("the lab is shown as healthy", HEALTHY);
    page.wait_for("each partition has a leader", &format!("{} === 30", all("leader")));
    page.wait_for("kafka2 leads", &format!("{} === 10", of_kafka2("leader")));

    let drill = std::thread::scope(|scope| {
        let drill = scope.spawn(|| lab.run(&["fail", "kafka2", "--json"], 0).json());
        page.wait_for("kafka2 leads nothing", &format!("{} === 0", of_kafka2("leader")));
        page.wait_for("kafka2 is not in sync", &format!("{} === 30", of_kafka2("out-of-sync")));
        page.wait_for("the fault is named", &format!("{}.includes('kafka2')", text("#faults")));
        page.wait_for(
            "the step is named",
            &format!("{}.includes('stop kafka2')", text("#run")),
        );
        // A broker that is stopped in order lets go of its partitions first, and answers meanwhile.
        page.wait_for(
            "kafka2 is silent",
            "document.querySelector('[data-node=\"kafka2\"]').dataset.state === 'silent'",
        );
        assert_eq!(page.ask(HEALTHY), false);
        // With something in its charts.
        page.picture("live-drill.png", Duration::from_secs(8));
        drill.join().unwrap()
    });
    assert_eq!(drill["status"], "passed");
    page.wait_for("kafka2 leads again", &format!("{} === 10", of_kafka2("leader")));
    page.wait_for("kafka2 is in sync again", &format!("{} === 0", all("out-of-sync")));
    page.wait_for("the lab is shown as healthy again", HEALTHY);
    let name = drill["run"].as_str().unwrap();
    page.wait_for(
        "the run is listed",
        &format!("!!document.querySelector('#runs a[href$=\"{name}\"]')"),
    );
    page.wait_for("its outcome is told", &format!("{}.includes('passed')", text("#run")));
    let feed = page.ask(&text("#feed"));
    assert!(feed.as_str().unwrap().contains("kafka2 is silent"), "{feed}");
    the_group_and_the_charts_are_drawn(&page);
    assert_eq!(page.ask("document.documentElement.dataset.errors ?? null"), Value::Null);

    let phone = Look {
        width: 390,
        height: 844,
        dark: true,
    };
    let small = Browser::open(&url, &phone);
    small.wait_for("the grid is there", &format!("{} === 30", all("leader")));
    let beyond = small.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(beyond, 0, "pixels wider than a phone");
    small.picture("live-phone.png", Duration::ZERO);

    // What was known of the lab says nothing of the next one.
    lab.run(&["down"], 0);
    page.wait_for("the lab is shown as gone", "document.body.dataset.lab === 'absent'");
    lab.run(&["up"], 0);
    page.wait_for("the next lab is shown as healthy", HEALTHY);
    let written = format!("parseInt({}) > 50", text("[data-figure=written]"));
    page.wait_for("its messages are counted anew", &written);

    let report = get(&address, &format!("/runs/{name}"));
    assert!(report.contains(name) && report.contains("<html"));
    others_are_refused(&address);
    serving.signal(Signal::TERM);
    serving.ends(Some(0));
}

fn the_group_and_the_charts_are_drawn(page: &Browser) {
    assert_eq!(page.ask("document.querySelectorAll('#group [data-member]').length"), 1);
    for chart in ["rates", "lag", "latency", "gaps"] {
        let paths = format!("[...document.querySelectorAll('#chart-{chart} path')]");
        page.wait_for(
            "the chart is drawn",
            &format!("{paths}.some(path => path.getAttribute('d'))"),
        );
    }
    // Whoever points at the middle reads the figures of that moment; with Home, those of the first.
    let point = "(() => {
        const box = document.querySelector('.overlay').getBoundingClientRect();
        const place = {bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + 5};
        document.querySelector('#charts').dispatchEvent(new PointerEvent('pointermove', place));
        return box.width;
    })()";
    let middle = page.ask(point).as_f64().unwrap() / 2.0;
    let left = "parseFloat(document.querySelector('.cursor').style.left)";
    page.wait_for(
        "the cursor is where one points",
        &format!("Math.abs({left} - {middle}) < 20"),
    );
    page.ask("document.querySelector('#charts').dispatchEvent(new KeyboardEvent('keydown', {key: 'Home'}))");
    page.wait_for("the cursor is at the begin", &format!("{left} < 20"));
}

/// The guard's rules have tests of their own; this is about their being asked.
fn others_are_refused(address: &str) {
    let (_, port) = address.rsplit_once(':').unwrap();
    let answer = |headers: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET /runs HTTP/1.0\r\n{headers}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(answer(&format!("Host: {address}")), "200");
    assert_eq!(answer(&format!("Host: evil.example:{port}")), "403");
    assert_eq!(
        answer(&format!("Host: {address}\r\nOrigin: http://evil.example")),
        "403"
    );
}
