package tune

import "github.com/pare-search/pare/eval/sweep"

// SearchSettings returns the settings of searches that are tried where no others
// are given: budgets, margins and depths for all tokens together, the strategies
// that keep some tokens, a fixed number or as many as a query needs, and centroid
// interaction with every document.
func SearchSettings() []sweep.Setting {
	grids := []sweep.Grid{
		{
			{Key: "search.plan", Values: []string{"probe"}},
			{Key: "search.prune", Values: []string{"all"}},
			{Key: "search.neighbors", Values: []string{"0"}},
			{Key: "search.margin_share", Values: []string{"0", "0.5"}},
			{Key: "search.budget", Values: []string{"250", "500", "1000", "2000", "4000", "8000", "16000"}},
			{Key: "search.depth", Values: []string{"32", "64", "128", "256", "512"}},
		},
		{
			{Key: "search.plan", Values: []string{"probe"}},
			{Key: "search.prune", Values: []string{"icf:4", "icf:8", "icf+mass:0.5", "icf+mass:0.7", "icf+cost:2000", "population:8", "nostopwords:20%"}},
			{Key: "search.neighbors", Values: []string{"0"}},
			{Key: "search.margin_share", Values: []string{"0.5"}},
			{Key: "search.budget", Values: []string{"1000", "4000"}},
			{Key: "search.depth", Values: []string{"64", "256"}},
		},
		{
			{Key: "search.plan", Values: []string{"interaction"}},
			{Key: "search.prune", Values: []string{"all"}},
			{Key: "search.depth", Values: []string{"32", "64", "128", "256", "512"}},
		},
	}
	var settings []sweep.Setting
	for _, grid := range grids {
		settings = append(settings, grid.Settings()...)
	}
	return settings
}

// IndexSettings returns the settings of indexes that are tried where no others
// are given: bytes of codes, bits, sizes of cells and pruned documents, each
// searched in full and by probing.
func IndexSettings() []sweep.Setting {
	searches := sweep.Grid{
		{Key: "search.plan", Values: []string{"exhaustive", "probe"}},
		{Key: "search.prune", Values: []string{"all"}},
		{Key: "search.budget", Values: []string{"8000"}},
		{Key: "search.depth", Values: []string{"256"}},
	}
	grids := []sweep.Grid{
		{
			{Key: "codec.kind", Values: []string{"banded"}},
			{Key: "codec.vectors_per_cell", Values: []string{"64", "128"}},
			{Key: "codec.code_bytes", Values: []string{"4", "8", "12", "17", "22"}},
		},
		{
			{Key: "codec.kind", Values: []string{"residual2", "residual4", "int8"}},
			{Key: "codec.vectors_per_cell", Values: []string{"128"}},
		},
		{
			{Key: "codec.kind", Values: []string{"banded"}},
			{Key: "codec.vectors_per_cell", Values: []string{"128"}},
			{Key: "codec.code_bytes", Values: []string{"8", "17"}},
			{Key: "index.prune", Values: []string{"ward:2", "voronoi:50%"}},
		},
	}
	var settings []sweep.Setting
	for _, grid := range grids {
		settings = append(settings, append(grid, searches...).Settings()...)
	}
	return settings
}
