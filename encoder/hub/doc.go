// Package hub fetches model folders from a model hub with the web interface of
// Hugging Face and keeps them in the user's cache.
//
// Get asks the hub which files a revision of a model has, picks those that an
// encoder needs (configuration, tokenizer, weights as safetensors, projections)
// and downloads them. What happens then is made for bad days:
//
//   - A download that was cut off goes on where it stopped, within a call and in
//     the next one.
//   - Every file is compared with the hub's checksum: SHA-256 for large files,
//     git's blob id (SHA-1) for small ones.
//   - The folder appears under its name when it is complete, all files of one
//     commit.
//   - Several processes may get the same model; one downloads, the others wait
//     for it and find the folder.
//   - A listing with a name that leads out of the folder is refused as a whole.
//     From https no redirect to http is followed.
//
// Find and List look at the cache and use no network. A folder of the cache:
//
//	CACHE/pare/models/ORG/NAME/config.json, tokenizer.json, model.safetensors, …
//	CACHE/pare/models/ORG/NAME/pare-model.json   where it comes from, with all checksums
//	CACHE/pare/models/ORG/.NAME.COMMIT.download  a download that is not complete
//	CACHE/pare/models/ORG/.NAME.lock             held by the one that downloads
//
// where CACHE is os.UserCacheDir.
package hub
