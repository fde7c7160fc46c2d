package querypruner

// merge takes the third step, the ball carving of MUVERA (Dhulipala et al.,
// 2024, arXiv 2405.19504, on the query side): the first row left gathers all
// others whose cosine with it is at least Merge, they look as their sum, and so
// on with the rows that are left. No statistics are needed. Scores are those of
// the rows as they were, unless ScoreKept asks for those of the sums. Where the
// rows score as they were, the sum is kept as a mean and the number of rows.
func (c *choice) merge() {
	if c.Merge == 0 {
		return
	}
	c.groups = make([][]int, len(c.rows))
	leaders := c.left[:0:0]
	for at, i := range c.left {
		if c.rows[i].Reason == Merged {
			continue
		}
		group := []int{i}
		for _, j := range c.left[at+1:] {
			if c.rows[j].Reason != Merged && cosine(c.query.Vectors, i, j) >= c.Merge {
				c.dropRow(j, Merged)
				c.rows[j].With = i
				group = append(group, j)
			}
		}
		c.groups[i] = group
		c.rows[i].Members = len(group)
		leaders = append(leaders, i)
	}
	c.left = leaders
}

// rarest returns the member of a row's group whose token is rarest, the row
// itself without merging.
func (c *choice) rarest(i int) int {
	if c.groups == nil {
		return i
	}
	best := i
	for _, j := range c.groups[i] {
		if c.count(j).documents < c.count(best).documents {
			best = j
		}
	}
	return best
}
