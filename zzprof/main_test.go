package prof
import ("testing";"github.com/pare-search/pare/index";"github.com/pare-search/pare/eval/dataset";"github.com/pare-search/pare/eval/searchbench";"github.com/pare-search/pare/simd";"github.com/pare-search/pare/querypruner";"fmt";"time";"slices")
func BenchmarkSearch(b *testing.B) {
	e, err := dataset.OpenEmbeddings("/tmp/ml/docs30k"); if err!=nil {b.Fatal(err)}
	qs, err := searchbench.Queries(e); if err!=nil {b.Fatal(err)}
	s, err := index.Open("/tmp/ml/d30k.idx"); if err!=nil {b.Fatal(err)}
	se := index.NewSearcher(s)
	o := index.DefaultSearchOptions(); o.K=100; o.Plan=index.Probe; o.Budget=4000; o.Depth=256; o.Times=true
	var st index.Stats
	var t []time.Duration
	var all []index.Stats
	i:=0
	for b.Loop() {
		t0:=time.Now()
		_, st, err = se.Search(b.Context(), simd.PackQuery(qs[i%len(qs)].Tokens.Vectors), querypruner.Selection{}, o)
		t=append(t,time.Since(t0))
		all=append(all,st)
		i++
	}
	slices.Sort(t)
	f:=func(g func(index.Stats) time.Duration) time.Duration { var d []time.Duration; for _,s:=range all {d=append(d,g(s))}; slices.Sort(d); return d[len(d)/4] }
	fmt.Println("p25",t[len(t)/4],"p50",t[len(t)/2],"scan",f(func(s index.Stats)time.Duration{return s.ScanTime}),"probe",f(func(s index.Stats)time.Duration{return s.ProbeTime}),"rank",f(func(s index.Stats)time.Duration{return s.RankTime}),"score",f(func(s index.Stats)time.Duration{return s.ScoreTime}),"refine",f(func(s index.Stats)time.Duration{return s.RefineTime}), st.Candidates)
}
