//! Builds and searches a next-plaid index of token embeddings in .npy files.
//!
//!     driver build VECTORS INDEX BITS CENTROIDS.npy
//!     driver search VECTORS INDEX REPEATS PROBES,DOCUMENTS,THRESHOLD...
//!
//! "search" prints one line of JSON per setting: the median time of each query
//! in milliseconds and the documents that it found. DOCUMENTS is n_full_scores,
//! of which a quarter is scored exactly; a THRESHOLD of "off" is none.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use ndarray::{s, Array1, Array2};
use next_plaid::{IndexConfig, MmapIndex, SearchParameters};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Queries that are searched before the clock starts.
const WARM_UP: usize = 20;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["build", vectors, index, bits, centroids] => build(vectors, index, bits.parse()?, centroids),
        ["search", vectors, index, repeats, ref settings @ ..] => search(vectors, index, repeats.parse()?, settings),
        _ => Err("usage: driver build VECTORS INDEX BITS CENTROIDS.npy | search VECTORS INDEX REPEATS SETTING...".into()),
    }
}

/// Reads the texts NAME.npy and NAME_lens.npy, one matrix each.
fn texts(folder: &str, name: &str) -> Result<Vec<Array2<f32>>> {
    let all: Array2<f32> = ndarray_npy::read_npy(Path::new(folder).join(format!("{name}.npy")))?;
    let lengths: Array1<i32> = ndarray_npy::read_npy(Path::new(folder).join(format!("{name}_lens.npy")))?;
    let mut first = 0;
    Ok(lengths
        .iter()
        .map(|&length| {
            let rows = first..first + length as usize;
            first = rows.end;
            all.slice(s![rows, ..]).to_owned()
        })
        .collect())
}

fn build(vectors: &str, index: &str, bits: usize, centroids: &str) -> Result<()> {
    let documents = texts(vectors, "docs")?;
    let config = IndexConfig { nbits: bits, ..Default::default() };
    std::fs::create_dir_all(index)?;
    next_plaid::index::create_index_files(&documents, ndarray_npy::read_npy(centroids)?, index, &config)?;
    Ok(())
}

fn search(vectors: &str, folder: &str, repeats: usize, settings: &[&str]) -> Result<()> {
    let queries = texts(vectors, "queries")?;
    let index = MmapIndex::load(folder)?;
    for setting in settings {
        let parameters = parse(setting)?;
        for query in queries.iter().take(WARM_UP) {
            index.search(query, &parameters, None)?;
        }
        let mut times = vec![Vec::new(); queries.len()];
        let mut found = vec![Vec::new(); queries.len()];
        for _ in 0..repeats {
            for (i, query) in queries.iter().enumerate() {
                let start = Instant::now();
                let result = index.search(query, &parameters, None)?;
                times[i].push(start.elapsed().as_secs_f64() * 1e3);
                found[i] = result.passage_ids;
            }
        }
        let medians: Vec<f64> = times
            .iter_mut()
            .map(|t| {
                t.sort_by(f64::total_cmp);
                t[t.len() / 2]
            })
            .collect();
        // Lists of numbers look in JSON as they do in Rust.
        println!("{{\"setting\": \"{setting}\", \"ms\": {medians:?}, \"found\": {found:?}}}");
    }
    Ok(())
}

fn parse(setting: &str) -> Result<SearchParameters> {
    let [probes, documents, threshold] = setting.split(',').collect::<Vec<_>>()[..] else {
        return Err(format!("setting {setting}: want PROBES,DOCUMENTS,THRESHOLD").into());
    };
    Ok(SearchParameters {
        top_k: 100,
        n_ivf_probe: probes.parse()?,
        n_full_scores: documents.parse()?,
        centroid_score_threshold: if threshold == "off" { None } else { Some(threshold.parse()?) },
        ..Default::default()
    })
}
