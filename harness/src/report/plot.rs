//! The plots of the HTML report, as SVG. Colours are of a middle brightness and grounds are clear, so that they can
//! be read on a light and on a dark page.

use anyhow::{Result, anyhow};
use grudge_checkers::history::{Operation, Outcome};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::summary::{FaultSpan, nanoseconds};

/// Width and height of one plot, in pixels.
const SIZE: (u32, u32) = (1100, 300);
/// More calls than this are thinned out: of those that succeeded, every n-th is drawn.
const POINTS: usize = 20_000;
const INK: RGBColor = RGBColor(128, 134, 145);
const OK: RGBColor = RGBColor(46, 160, 103);
const FAIL: RGBColor = RGBColor(220, 145, 30);
const INFO: RGBColor = RGBColor(214, 72, 92);
const BLUE: RGBColor = RGBColor(76, 132, 224);

/// The colour in which a fault's band is drawn.
pub(super) fn band(kind: &str) -> RGBColor {
    match kind {
        "partition" => RGBColor(148, 103, 205),
        "pause" => RGBColor(76, 132, 224),
        "kill" => RGBColor(214, 72, 92),
        _ => RGBColor(150, 150, 150),
    }
}

/// Every call as a point: when it began, how long it took, how it ended.
pub(super) fn latency_points(calls: &[Operation<'_>], faults: &[FaultSpan]) -> Result<String> {
    let step = calls.len().div_ceil(POINTS).max(1);
    let drawn: Vec<(f64, f64, RGBColor)> = calls
        .iter()
        .enumerate()
        .filter(|(i, call)| call.outcome() != Outcome::Ok || i % step == 0)
        .filter_map(|(_, call)| Some((second(call), nanoseconds(call)? as f64 / 1e6, colour(call.outcome()))))
        .collect();
    draw_latency(calls, faults, drawn.iter().map(|point| point.1), |chart| {
        chart.draw_series(drawn.iter().map(|(x, y, colour)| Circle::new((*x, *y), 2, colour.mix(0.6).filled())))?;
        Ok(())
    })
}

/// Median and 99th percentile of the calls that succeeded, second by second.
pub(super) fn latency_quantiles(calls: &[Operation<'_>], faults: &[FaultSpan]) -> Result<String> {
    let mut windows: Vec<Vec<f64>> = vec![Vec::new(); seconds(calls) + 1];
    for call in calls.iter().filter(|call| call.outcome() == Outcome::Ok) {
        if let Some(latency) = nanoseconds(call) {
            windows[second(call) as usize].push(latency as f64 / 1e6);
        }
    }
    for window in &mut windows {
        window.sort_by(f64::total_cmp);
    }
    let (median, high) = (quantile(&windows, 0.5), quantile(&windows, 0.99));
    let all = || median.iter().chain(&high).flatten();
    draw_latency(calls, faults, all().map(|point| point.1), |chart| {
        for (lines, colour) in [(&median, OK), (&high, BLUE)] {
            for line in lines {
                chart.draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)).point_size(1))?;
            }
        }
        Ok(())
    })
}

/// One quantile second by second, in pieces: where nothing succeeded there is no line.
fn quantile(windows: &[Vec<f64>], q: f64) -> Vec<Vec<(f64, f64)>> {
    let mut lines = vec![Vec::new()];
    for (i, window) in windows.iter().enumerate() {
        let line = lines.last_mut().expect("there is always a last line");
        match window.len() {
            0 if line.is_empty() => {}
            0 => lines.push(Vec::new()),
            count => line.push((i as f64 + 0.5, window[((count - 1) as f64 * q) as usize])),
        }
    }
    lines
}

/// Calls a second by outcome.
pub(super) fn rate(calls: &[Operation<'_>], faults: &[FaultSpan]) -> Result<String> {
    let length = seconds(calls) + 1;
    let mut counts = [vec![0_u32; length], vec![0; length], vec![0; length]];
    for call in calls {
        let line = match call.outcome() {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        };
        counts[line][second(call) as usize] += 1;
    }
    let top = f64::from(counts.iter().flatten().copied().max().unwrap_or(1).max(1)) * 1.1;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..length as f64, 0.0..top)
            .map_err(failed)?;
        bands(&mut chart, faults, length as f64, (0.0, top)).map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.2))
            .axis_style(INK)
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .x_label_formatter(&|x| format!("{x:.0} s"))
            .y_label_formatter(&|y| format!("{y:.0}/s"))
            .draw()
            .map_err(failed)?;
        for (line, colour) in counts.iter().zip([OK, FAIL, INFO]) {
            let points = line.iter().enumerate().map(|(i, count)| (i as f64 + 0.5, f64::from(*count)));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

type LogChart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, LogCoord<f64>>>;
type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// A plot with seconds to the right and milliseconds upwards, in decades.
fn draw_latency(
    calls: &[Operation<'_>],
    faults: &[FaultSpan],
    latencies: impl Iterator<Item = f64> + Clone,
    draw: impl Fn(&mut LogChart<'_, '_>) -> Result<(), DrawError>,
) -> Result<String> {
    let length = (seconds(calls) + 1) as f64;
    let low = 10_f64.powf(latencies.clone().fold(1.0, f64::min).max(0.01).log10().floor());
    let high = 10_f64.powf(latencies.fold(10.0, f64::max).log10().ceil());
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..length, (low..high).log_scale())
            .map_err(failed)?;
        bands(&mut chart, faults, length, (low, high)).map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.2))
            .axis_style(INK)
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .y_labels(6)
            .x_label_formatter(&|x| format!("{x:.0} s"))
            .y_label_formatter(&|y| milliseconds(*y))
            .draw()
            .map_err(failed)?;
        draw(&mut chart).map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn bands<'b, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>,
    faults: &[FaultSpan],
    length: f64,
    (low, high): (f64, f64),
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>>
where
    Y: plotters::coord::ranged1d::Ranged<ValueType = f64>,
{
    chart.draw_series(faults.iter().filter(|span| span.error.is_none()).map(|span| {
        let corners = [(span.start, low), (span.end.unwrap_or(length), high)];
        Rectangle::new(corners, band(&span.kind).mix(0.16).filled())
    }))?;
    Ok(())
}

fn milliseconds(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.0} s", ms / 1000.0) } else { format!("{ms} ms") }
}

fn second(call: &Operation<'_>) -> f64 {
    call.invoke.time as f64 / 1e9
}

fn seconds(calls: &[Operation<'_>]) -> usize {
    calls.iter().map(|call| call.invoke.time / 1_000_000_000).max().unwrap_or(0) as usize
}

fn colour(outcome: Outcome) -> RGBColor {
    match outcome {
        Outcome::Ok => OK,
        Outcome::Fail => FAIL,
        Outcome::Info => INFO,
    }
}

fn failed<E: std::fmt::Display>(error: E) -> anyhow::Error {
    anyhow!("a plot cannot be drawn: {error}")
}
